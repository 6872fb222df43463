//! How large a model is.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::batch_norm::is_statistic;

/// What is trained of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Number of tensors.
    pub tensors: usize,
    /// Number of scalars in them: d, the dimension of the problem.
    pub parameters: usize,
}

/// The size of `model`. Burn's `num_params` also counts running statistics, which are not trained.
pub fn size<M: Module>(model: &M) -> Size {
    struct Count {
        path: Vec<String>,
        size: Size,
    }
    impl ModuleVisitor for Count {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.into());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !self.path.last().is_some_and(|name| is_statistic(name)) {
                self.size.tensors += 1;
                self.size.parameters += param.lazy_shape().num_elements();
            }
        }
    }
    let mut count = Count { path: Vec::new(), size: Size::default() };
    model.visit(&mut count);
    count.size
}
