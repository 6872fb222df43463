//! What batch normalisation remembers, made common to all workers.

pub use backburn_optim::batch_norm::*;

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::{Device, Distribution, Tensor, TensorData};

    use super::*;
    use crate::models::{Classifier, ModelKind};

    fn device() -> Device {
        Device::default().autodiff()
    }

    fn model() -> Classifier {
        ModelKind::ResNet8.build([1, 8, 8], 3, 5, &device()).unwrap()
    }

    fn images(shift: f32) -> Tensor<4> {
        let values: Vec<f32> = (0..4 * 64).map(|i| (i as f32 * 0.37).sin() + shift).collect();
        Tensor::from_data(TensorData::new(values, [4, 1, 8, 8]), &device())
    }

    /// All floats but the statistics, in visit order.
    fn parameters(model: &Classifier) -> Vec<f32> {
        struct All(Vec<String>, Vec<f32>);
        impl ModuleVisitor for All {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.0.push(name.into());
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.0.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if !is_statistic(self.0.last().unwrap()) {
                    self.1.extend(param.val().into_data().iter::<f32>());
                }
            }
        }
        let mut all = All(Vec::new(), Vec::new());
        model.visit(&mut all);
        all.1
    }

    #[test]
    fn a_pass_from_common_statistics_gives_the_same_every_time() {
        let mut model = model();
        let common = statistics(&model);
        // ResNet-8: seven convolutions and two shortcuts, each with mean and variance.
        assert_eq!(common.len(), 2 * (16 * 3 + 32 * 3 + 64 * 3));
        let before = parameters(&model);
        let mut passes = Vec::new();
        for _ in 0..3 {
            model = with_statistics(model, &common).unwrap();
            assert_eq!(statistics(&model), common);
            model.forward(images(0.5));
            passes.push(statistics(&model));
            // Another worker's pass in between leaves no trace.
            model.forward(images(-3.0));
        }
        assert_ne!(passes[0], common);
        assert!(passes.iter().all(|pass| *pass == passes[0]));
        assert_eq!(parameters(&model), before);
    }

    #[test]
    fn a_pass_without_flush_between_is_dropped() {
        let model = model();
        let common = statistics(&model);
        model.forward(images(2.0));
        let model = with_statistics(model, &common).unwrap();
        assert_eq!(statistics(&model), common);
        assert_eq!(statistics(&model.valid()), common);
    }

    #[test]
    fn statistics_stay_untrained_and_parameters_trained() {
        let model = with_statistics(model(), &vec![1.0; 672]).unwrap();
        struct Grad(Vec<String>);
        impl ModuleVisitor for Grad {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.0.push(name.into());
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.0.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                assert_eq!(param.is_require_grad(), !is_statistic(self.0.last().unwrap()), "{:?}", self.0);
            }
        }
        model.visit(&mut Grad(Vec::new()));
        let loss = model.loss(images(0.0), Tensor::from_ints([0, 1, 2, 0], &device()));
        loss.backward();
    }

    #[test]
    fn inference_uses_what_was_written() {
        let plain = Device::default();
        let x = Tensor::random([2, 1, 8, 8], Distribution::Default, &plain);
        let output = |value| {
            let model = with_statistics(model(), &vec![value; 672]).unwrap();
            model.valid().forward(x.clone()).into_data().iter::<f32>().collect::<Vec<_>>()
        };
        // Small ones, with which some units are above zero.
        assert_eq!(output(0.01), output(0.01));
        assert_ne!(output(0.01), output(0.02));
    }

    #[test]
    fn a_model_without_normalisation_has_none() {
        let model = ModelKind::ConvNet.build([1, 8, 8], 3, 5, &device()).unwrap();
        assert!(statistics(&model).is_empty());
        assert!(with_statistics(model.clone(), &[]).is_ok());
        assert_eq!(with_statistics(model, &[1.0]).unwrap_err(), StatisticsError::Length { expected: 0, found: 1 });
    }

    #[test]
    fn averages_in_rank_order() {
        assert_eq!(average(&[vec![1.0, 2.0], vec![3.0, 2.0]]).unwrap(), [2.0, 2.0]);
        assert_eq!(average(&vec![vec![0.1]; 7]).unwrap(), [0.1]);
        assert_eq!(average(&[]).unwrap_err(), StatisticsError::NoWorkers);
        assert!(matches!(average(&[vec![1.0], vec![]]), Err(StatisticsError::Worker { worker: 1, .. })));
    }
}
