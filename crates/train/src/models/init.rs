//! First values that depend on nothing but a seed.

use backburn_compress::Philox;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

use crate::data::Purpose;

/// Draws every `weight` and `bias` of `model` anew, uniformly on ±1/√(fan-in): PyTorch's default for
/// linear and convolutional layers, with which the papers' experiments began. An embedding's fan-in is
/// its width, as if it were the head whose transpose it may be. Everything else, such as the
/// parameters of normalisations, keeps its value.
///
/// Burn draws from its backend's generator, which on flex is one for the whole process and is asked
/// when a parameter is first used. These draws are a function of the seed and of a parameter's place
/// in the model alone: the same bits on every device, in any thread.
pub fn initialise<M: Module>(model: M, seed: u64) -> M {
    model.map(&mut Draw { seed, path: Vec::new(), embeds: false, drawn: 0, fan_in: 1 })
}

struct Draw {
    seed: u64,
    path: Vec<String>,
    /// Whether the innermost module is an embedding.
    embeds: bool,
    drawn: u64,
    /// Of the last weight: its bias comes after it.
    fan_in: usize,
}

impl ModuleMapper for Draw {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.into());
        self.embeds = container.ends_with("Embedding");
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Asked for without touching the values, which would draw them.
        let (shape, device) = (param.lazy_shape(), param.lazy_device());
        match self.path.last().map(String::as_str) {
            // Burn's linear weights are [in, out], convolutions [out, in, height, width].
            Some("weight") if self.embeds => self.fan_in = shape[D - 1],
            Some("weight") if D == 2 => self.fan_in = shape[0],
            Some("weight") => self.fan_in = shape.iter().skip(1).product(),
            Some("bias") => {}
            _ => return param,
        }
        let bound = 1.0 / (self.fan_in.max(1) as f32).sqrt();
        let mut random = Philox::new(Purpose::Init.key(self.seed, None, self.drawn));
        self.drawn += 1;
        let values: Vec<f32> = (0..shape.num_elements()).map(|_| (2.0 * random.uniform() - 1.0) * bound).collect();
        let mut drawn = Param::from_data(TensorData::new(values, shape), &device);
        drawn.id = param.id;
        drawn
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{EmbeddingConfig, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn depends_on_the_seed_alone() {
        let device = Device::default().autodiff();
        let values = |seed| {
            let layer = initialise(LinearConfig::new(16, 3).init(&device), seed);
            assert!(layer.weight.is_require_grad());
            let bias = layer.bias.unwrap().val().into_data();
            [layer.weight.val().into_data(), bias].map(|data| data.try_to_vec::<f32>().unwrap()).concat()
        };
        let first = values(1);
        device.seed(99);
        assert_eq!(first, values(1));
        assert_ne!(first, values(2));
        assert!(first.iter().all(|x| x.abs() <= 0.25) && first.iter().any(|x| x.abs() > 0.2));
    }

    #[test]
    fn an_embedding_is_as_wide_as_its_head() {
        let table = initialise(EmbeddingConfig::new(64, 4).init(&Device::default()), 1);
        let values = table.weight.val().into_data().try_to_vec::<f32>().unwrap();
        let most = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        assert!(most <= 0.5 && most > 0.4, "{most}");
    }

    #[test]
    fn identity_is_kept() {
        let layer = LinearConfig::new(2, 2).init(&Device::default());
        let id = layer.weight.id;
        assert_eq!(initialise(layer, 1).weight.id, id);
    }
}
