//! The tensors of well-known models.

use backburn_compress::{Layout, LayoutError, Scope};

/// The shapes of a model's trainable tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// One shape a tensor.
    pub shapes: Vec<Vec<usize>>,
}

/// Why a list of shapes was refused.
#[derive(Debug, thiserror::Error)]
pub enum ShapesError {
    /// The file cannot be read.
    #[error("cannot read shapes from `{path}`: {source}; known models are resnet18 and resnet50")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line that is no shape.
    #[error("line {line} is no shape: `{text}`; write `64x3x3x3`, or a JSON list of lists")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What it says.
        text: String,
    },
    /// Nothing in it.
    #[error("no shapes")]
    Empty,
}

impl Model {
    /// `resnet18`, `resnet50`, or the name of a file of shapes.
    ///
    /// # Errors
    /// Where there is no such file, or it holds no shapes.
    pub fn load(name: &str) -> Result<Self, ShapesError> {
        let shapes = match name {
            "resnet18" => resnet18(),
            "resnet50" => resnet50(),
            path => {
                let read = |source| ShapesError::Read { path: path.into(), source };
                parse(&std::fs::read_to_string(path).map_err(read)?)?
            }
        };
        Ok(Self { name: name.into(), shapes })
    }

    /// Its tensors in a layout of this scope.
    ///
    /// # Errors
    /// Where they make none.
    pub fn layout(&self, scope: Scope) -> Result<Layout, LayoutError> {
        let name = |(i, shape): (usize, &Vec<usize>)| (format!("tensor{i}"), shape.clone());
        Layout::new(self.shapes.iter().enumerate().map(name).collect(), scope, 0)
    }
}

/// Shapes as a JSON list of lists, or one a line, as `64x3x3x3` or `64 3 3 3`.
///
/// # Errors
/// Names the line, or what is wrong with the shapes.
pub fn parse(text: &str) -> Result<Vec<Vec<usize>>, ShapesError> {
    let shapes = match serde_json::from_str::<Vec<Vec<usize>>>(text) {
        Ok(shapes) => shapes,
        Err(_) => {
            let lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
            let line = |(i, l): (usize, &str)| {
                let numbers = l.split([' ', 'x', ',', '\t']).filter(|w| !w.is_empty()).map(str::parse);
                let shape: Result<Vec<usize>, _> = numbers.collect();
                shape.map_err(|_| ShapesError::Line { line: i + 1, text: l.into() })
            };
            lines.map(line).collect::<Result<_, _>>()?
        }
    };
    if shapes.iter().all(|s| s.iter().product::<usize>() == 0) { Err(ShapesError::Empty) } else { Ok(shapes) }
}

/// A convolution without a bias, and the batch normalisation behind it.
fn block(shapes: &mut Vec<Vec<usize>>, output: usize, input: usize, size: usize) {
    shapes.extend([vec![output, input, size, size], vec![output], vec![output]]);
}

/// ResNet-18 for ten classes of 32 × 32 images (He et al. 2016): 62 tensors, 11,173,962 coordinates.
fn resnet18() -> Vec<Vec<usize>> {
    let mut shapes = Vec::new();
    block(&mut shapes, 64, 3, 3);
    let mut input = 64;
    for width in [64, 128, 256, 512] {
        for _ in 0..2 {
            block(&mut shapes, width, input, 3);
            block(&mut shapes, width, width, 3);
            if input != width {
                block(&mut shapes, width, input, 1);
            }
            input = width;
        }
    }
    shapes.extend([vec![10, 512], vec![10]]);
    shapes
}

/// ResNet-50 for ImageNet: 161 tensors, 25,557,032 coordinates.
fn resnet50() -> Vec<Vec<usize>> {
    let mut shapes = Vec::new();
    block(&mut shapes, 64, 3, 7);
    let mut input = 64;
    for (width, blocks) in [(64, 3), (128, 4), (256, 6), (512, 3)] {
        for first in (0..blocks).map(|i| i == 0) {
            block(&mut shapes, width, input, 1);
            block(&mut shapes, width, width, 3);
            block(&mut shapes, 4 * width, width, 1);
            if first {
                block(&mut shapes, 4 * width, input, 1);
            }
            input = 4 * width;
        }
    }
    shapes.extend([vec![1000, 2048], vec![1000]]);
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_their_published_sizes() {
        for (name, tensors, coordinates) in [("resnet18", 62, 11_173_962), ("resnet50", 161, 25_557_032)] {
            let model = Model::load(name).unwrap();
            assert_eq!(model.shapes.len(), tensors);
            assert_eq!(model.layout(Scope::Global).unwrap().len(), coordinates);
        }
    }

    #[test]
    fn shapes_are_read_from_text() {
        let shapes = vec![vec![64, 3, 3], vec![10]];
        assert_eq!(parse("[[64,3,3],[10]]").unwrap(), shapes);
        assert_eq!(parse("64x3x3\n\n10\n").unwrap(), shapes);
        assert_eq!(parse("64 3 3\n10").unwrap(), shapes);
        assert!(parse("64xx,y").unwrap_err().to_string().contains("line 1"));
        assert!(parse("").is_err());
    }
}
