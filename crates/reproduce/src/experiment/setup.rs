//! What all curves of a reproduction share: scale, data, device.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use backburn_optim::DeviceKind;
use backburn_train::data::{self, DataError, DataSet, Examples, Options, Split};

use super::scale::Scale;
use crate::error::ReproduceError;

/// What all curves of a reproduction share: scale, data, device.
pub struct Setup {
    /// How large it is.
    pub scale: Scale,
    /// Where data is looked for.
    pub data: Options,
    /// The device of the experiments that train a model.
    pub device: DeviceKind,
    loaded: Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setup({}, {})", self.scale, self.device)
    }
}

impl Setup {
    /// Of this scale, with nothing loaded.
    pub fn new(scale: Scale, data: Options, device: DeviceKind) -> Self {
        Self { scale, data, device, loaded: Mutex::default() }
    }

    /// What `make` makes, made once for all curves that ask under this key. `make` must not ask for
    /// anything shared itself: it would wait for its own end.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn shared<T: Any + Send + Sync>(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<T, ReproduceError>,
    ) -> Result<Arc<T>, ReproduceError> {
        // A thread that panicked while it loaded has stored nothing.
        let mut loaded = self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = loaded.get(key).and_then(|found| found.clone().downcast::<T>().ok()) {
            return Ok(found);
        }
        let made = Arc::new(make()?);
        loaded.insert(key.into(), made.clone());
        Ok(made)
    }

    /// The data set that an experiment takes: at paper and medium scale the published one, fetched where it must
    /// be; at small scale that one where it is at hand, otherwise the embedded slice of
    /// Fashion-MNIST.
    pub fn image_set(&self, published: &'static str) -> &'static str {
        const EMBEDDED: &str = "fashion-embedded";
        match self.scale {
            Scale::Smoke => EMBEDDED,
            Scale::Medium | Scale::Paper => published,
            Scale::Small => {
                let found = data::catalog::find(published).and_then(|entry| entry.locate(&self.data));
                if found.is_some() { published } else { EMBEDDED }
            }
        }
    }

    /// The text that language models are trained on: at paper scale all of it, otherwise the embedded slice.
    pub fn text_set(&self) -> &'static str {
        self.scale.pick("kjv-embedded", "kjv-embedded", "kjv")
    }

    /// Its windows of so many bytes, of which at most `kept` are measured on.
    ///
    /// # Errors
    /// Where it cannot be read or fetched.
    pub fn text(&self, context: usize, kept: usize) -> Result<Arc<Split<Examples>>, ReproduceError> {
        let name = self.text_set();
        self.shared(&format!("text {name} {context} {kept}"), || {
            let split = name.parse::<DataSet>().map_err(DataError::from)?.load(&self.data)?;
            let split = split.with_context(context).expect("the published texts are longer than any context");
            Ok(Split { test: split.test.first_of_each(kept), ..split })
        })
    }

    /// The images of [`image_set`](Self::image_set).
    ///
    /// # Errors
    /// Where they cannot be read or fetched.
    pub fn images(&self, published: &'static str) -> Result<Arc<Split>, ReproduceError> {
        let name = self.image_set(published);
        self.shared(&format!("images {name}"), || Ok(data::load(name, &self.data)?))
    }
}
