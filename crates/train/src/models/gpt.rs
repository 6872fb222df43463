//! A small GPT (Radford et al., *Language models are unsupervised multitask learners*, 2019) on bytes: what methods for
//! slow links are judged on.

use std::fmt;

use backburn_compress::ParameterError;
use backburn_compress::text::{Form, TextError};
use burn::module::Module;
use burn::nn::attention::generate_autoregressive_mask;
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};

use crate::data::VOCABULARY;

/// How large a GPT is: `gpt[:layers=4,dim=128,heads=4,context=128][,tied]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GptPlan {
    layers: usize,
    dim: usize,
    heads: usize,
    context: usize,
    tied: bool,
}

impl Default for GptPlan {
    /// Four layers of four heads on 128 dimensions, a window of 128 tokens: 0.88 million parameters.
    fn default() -> Self {
        Self { layers: 4, dim: 128, heads: 4, context: 128, tied: false }
    }
}

impl GptPlan {
    /// The row that reads its text.
    pub const FORM: Form<Self> = Form {
        name: "gpt",
        usage: "gpt[:layers=4,dim=128,heads=4,context=128][,tied]",
        about: "a decoder-only transformer on bytes",
        equation: "",
        source: "Radford et al., Language models are unsupervised multitask learners, 2019",
        link: "",
        defaults: &[
            ("layers=4", "blocks, 1 to 96"),
            ("dim=128", "numbers a token, 8 to 8192, a multiple of heads"),
            ("heads=4", "parts of a token's numbers that attend by themselves"),
            ("context=128", "tokens of a window, 2 to 8192"),
            ("tied", "the head is the transpose of the token embedding"),
        ],
        examples: &["gpt", "gpt:layers=2,dim=32,heads=2,context=16,tied"],
        parse: |args| {
            let (plan, tied) = (Self::default(), args.flag("tied"));
            let layers = args.named("layers")?.unwrap_or(plan.layers);
            let dim = args.named("dim")?.unwrap_or(plan.dim);
            let heads = args.named("heads")?.unwrap_or(plan.heads);
            let context = args.named("context")?.unwrap_or(plan.context);
            Ok(Self::new(layers, dim, heads)?.with_context(context)?.with_tied(tied))
        },
    };

    /// So many blocks on so many numbers a token, which as many heads share.
    ///
    /// # Errors
    /// Where one is out of its range, or the heads do not divide the numbers.
    pub fn new(layers: usize, dim: usize, heads: usize) -> Result<Self, TextError> {
        range("layers", layers, 1..=96, "1 to 96")?;
        range("dim", dim, 8..=8192, "8 to 8192")?;
        range("heads", heads, 1..=dim, "1 to dim")?;
        if !dim.is_multiple_of(heads) {
            return Err(TextError::Refused(format!("`gpt`: dim = {dim} is not a multiple of heads = {heads}")));
        }
        Ok(Self { layers, dim, heads, ..Self::default() })
    }

    /// With windows of so many tokens.
    ///
    /// # Errors
    /// Outside 2 to 8192.
    pub fn with_context(self, context: usize) -> Result<Self, TextError> {
        range("context", context, 2..=8192, "2 to 8192")?;
        Ok(Self { context, ..self })
    }

    /// With the transpose of the token embedding as the head, or a head of its own.
    pub fn with_tied(self, tied: bool) -> Self {
        Self { tied, ..self }
    }

    /// Tokens of a window.
    pub fn context(self) -> usize {
        self.context
    }

    /// d: with V tokens, windows of T and D numbers a token (V + T)·D + L·(12D² + 13D) + 2D, and V·D for a head of its
    /// own.
    pub fn parameters(self) -> usize {
        let (d, t) = (self.dim, self.context);
        let head = if self.tied { 0 } else { VOCABULARY * d };
        (VOCABULARY + t) * d + self.layers * (12 * d * d + 13 * d) + 2 * d + head
    }

    /// Floats that a forward pass leaves of one window for the backward pass, about.
    pub fn activations(self) -> usize {
        self.context * (self.layers * (24 * self.dim + 3 * self.heads * self.context) + 3 * self.dim + 4 * VOCABULARY)
    }
}

fn range(
    name: &'static str,
    value: usize,
    allowed: std::ops::RangeInclusive<usize>,
    words: &'static str,
) -> Result<(), ParameterError> {
    match allowed.contains(&value) {
        true => Ok(()),
        false => Err(ParameterError::Range { name, value: value as f64, allowed: words }),
    }
}

impl fmt::Display for GptPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layers, dim, heads, context, tied } = self;
        let tied = if *tied { ",tied" } else { "" };
        write!(f, "gpt:layers={layers},dim={dim},heads={heads},context={context}{tied}")
    }
}

/// Token and position embeddings, blocks of causal self-attention and a perceptron of four times the width with GELU,
/// each behind a layer normalisation and with a way around it, a last normalisation, and a head.
#[derive(Module, Debug)]
pub struct Gpt {
    /// Named so that it is no matrix for methods that know matrices.
    embed_tokens: Embedding,
    embed_positions: Embedding,
    blocks: TransformerEncoder,
    norm: LayerNorm,
    /// None where it is the transpose of the token embedding.
    head: Option<Linear>,
}

impl Gpt {
    /// A model of this size.
    pub fn new(plan: GptPlan, device: &Device) -> Self {
        let GptPlan { layers, dim, heads, context, tied } = plan;
        // Without dropout: a gradient is a function of its batch.
        let blocks = TransformerEncoderConfig::new(dim, 4 * dim, heads, layers).with_norm_first(true).with_dropout(0.0);
        Self {
            embed_tokens: EmbeddingConfig::new(VOCABULARY, dim).init(device),
            embed_positions: EmbeddingConfig::new(context, dim).init(device),
            blocks: blocks.init(device),
            norm: LayerNormConfig::new(dim).init(device),
            head: (!tied).then(|| LinearConfig::new(dim, VOCABULARY).with_bias(false).init(device)),
        }
    }

    /// `[n, tokens]` → `[n, tokens, vocabulary]`, logits of the token after each.
    ///
    /// # Panics
    /// With more tokens than the context, or one that is none.
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let ([n, length], device) = (tokens.dims(), tokens.device());
        let places = Tensor::arange(0..length as i64, &device).reshape([1, length]);
        let x = self.embed_tokens.forward(tokens) + self.embed_positions.forward(places);
        let mask = generate_autoregressive_mask(n, length, &device);
        let x = self.norm.forward(self.blocks.forward(TransformerEncoderInput::new(x).mask_attn(mask)));
        match &self.head {
            Some(head) => head.forward(x),
            None => x.matmul(self.embed_tokens.weight.val().transpose().unsqueeze()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{ModelKind, Size, initialise, size};

    fn plan(text: &str) -> Result<GptPlan, TextError> {
        Form::read(&[&GptPlan::FORM], "model", text)
    }

    /// The count is of the outline, whose values are never drawn: the largest costs nothing.
    #[test]
    fn sizes_are_the_formula_s() {
        let device = Device::default();
        for (text, parameters) in [
            ("gpt", 875_264),
            ("gpt:tied", 842_496),
            ("gpt:layers=1,dim=8,heads=2,context=4", 5_016),
            ("gpt:layers=6,dim=256,heads=8,context=256", 4_935_680),
            ("gpt:layers=17,dim=768,heads=12,context=1024,tied", 121_478_400),
        ] {
            let plan = plan(text).unwrap();
            let tensors = 16 * plan.layers + 4 + usize::from(!plan.tied);
            assert_eq!(size(&Gpt::new(plan, &device)), Size { tensors, parameters }, "{text}");
            assert_eq!(plan.parameters(), parameters, "{text}");
        }
    }

    #[test]
    fn a_later_token_leaves_the_bits_of_all_before() {
        let device = Device::default();
        for text in ["gpt:layers=2,dim=16,heads=2,context=12", "gpt:layers=2,dim=16,heads=4,context=12,tied"] {
            let model = initialise(Gpt::new(plan(text).unwrap(), &device), 3);
            let logits = |changed: Option<usize>| {
                let tokens: Vec<i32> = (0..24).map(|i| (i * 37 + 11) % 256).collect();
                let mut tokens = tokens.clone();
                changed.into_iter().for_each(|at| tokens[at] = (tokens[at] + 101) % 256);
                let tokens = Tensor::<1, Int>::from_ints(&tokens[..], &device).reshape([2, 12]);
                let out = model.forward(tokens).into_data().try_to_vec::<f32>().unwrap();
                out.chunks_exact(VOCABULARY)
                    .map(|row| row.iter().map(|x| x.to_bits()).collect())
                    .collect::<Vec<Vec<_>>>()
            };
            let before = logits(None);
            for at in 0..24 {
                let after = logits(Some(at));
                for place in 0..24 {
                    // What a token touches is itself and what follows in its own window.
                    let touched = place / 12 == at / 12 && place >= at;
                    assert_eq!(before[place] != after[place], touched, "{text}: {at} at {place}");
                }
            }
        }
    }

    #[test]
    fn text_is_read_back_and_refusals_say_what_is_allowed() {
        for text in ["gpt:layers=4,dim=128,heads=4,context=128", "gpt:layers=2,dim=32,heads=2,context=16,tied"] {
            assert_eq!(plan(text).unwrap().to_string(), text);
        }
        assert_eq!(plan("gpt"), Ok(GptPlan::default()));
        for (text, words) in [
            ("gpt:layers=0", "1 to 96"),
            ("gpt:dim=4", "8 to 8192"),
            ("gpt:context=1", "2 to 8192"),
            ("gpt:dim=130", "dim = 130 is not a multiple of heads = 4"),
            ("gpt:layer=2", "did you mean `layers`"),
            ("gpt:dim=x", "is not a whole number"),
            ("gpt:tied,tied", "given twice"),
        ] {
            let message = text.parse::<ModelKind>().unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
