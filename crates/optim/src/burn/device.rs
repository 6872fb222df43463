//! Devices by kind.

use std::fmt;
use std::str::FromStr;

use ::burn::tensor::Device;
use backburn_compress::text::{TextError, serde_as_text};

/// What tensors live on: `auto`, `flex`, `ndarray` or `wgpu`. A kind that this build lacks reads all the same, so that
/// what another build has written does; only [`device`](Self::device) refuses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceKind {
    /// A GPU where one is found, else the CPU. Burn's own default would take wgpu unprobed wherever it is compiled in.
    #[default]
    Auto,
    /// The CPU, with feature `flex`.
    Flex,
    /// The CPU by the `ndarray` crate, with feature `ndarray`.
    NdArray,
    /// Any adapter of wgpu, one in software included, with feature `wgpu`.
    Wgpu,
}

/// Why there is no such device.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Not a kind.
    #[error("{0}{lacking}", lacking = lacking())]
    Unknown(TextError),
    /// A kind that is not compiled in.
    #[error(
        "this build has no `{0}`, which comes with the feature of that name; it has {has}",
        has = list(DeviceKind::is_built)
    )]
    NotBuilt(DeviceKind),
    /// Compiled in, but the machine has none.
    #[error("no {0} adapter was found on this machine")]
    NoAdapter(DeviceKind),
    /// Built without any backend.
    #[error("this build has no backend; enable one of the features {}", list(|kind| kind != DeviceKind::Auto))]
    NoBackend,
}

impl DeviceKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Flex, Self::NdArray, Self::Wgpu];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
            Self::Wgpu => "wgpu",
        }
    }

    /// Whether it is compiled in.
    pub fn is_built(self) -> bool {
        match self {
            Self::Auto => true,
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
        }
    }

    /// Whether its tensors lie in the memory of the processor.
    pub fn is_cpu(self) -> bool {
        matches!(self, Self::Flex | Self::NdArray)
    }

    /// What it stands for on this machine: `auto` finds its kind, any other is itself.
    ///
    /// # Errors
    /// Where it is not compiled in, or `auto` finds nothing.
    pub fn resolve(self) -> Result<Self, DeviceError> {
        match self {
            Self::Auto if has_gpu() => Ok(Self::Wgpu),
            Self::Auto => {
                let cpu = Self::ALL.into_iter().find(|kind| kind.is_cpu() && kind.is_built());
                let none =
                    if Self::Wgpu.is_built() { DeviceError::NoAdapter(Self::Wgpu) } else { DeviceError::NoBackend };
                cpu.ok_or(none)
            }
            kind if kind.is_built() => Ok(kind),
            kind => Err(DeviceError::NotBuilt(kind)),
        }
    }

    /// The device.
    ///
    /// # Errors
    /// Where it is not compiled in, or this machine has none.
    pub fn device(self) -> Result<Device, DeviceError> {
        match self.resolve()? {
            #[cfg(feature = "flex")]
            Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            Self::NdArray => {
                #[allow(deprecated)] // burn 0.22 still has it
                Ok(Device::ndarray())
            }
            #[cfg(feature = "wgpu")]
            Self::Wgpu => wgpu().ok_or(DeviceError::NoAdapter(Self::Wgpu)),
            kind => Err(DeviceError::NotBuilt(kind)),
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DeviceKind {
    type Err = DeviceError;

    fn from_str(word: &str) -> Result<Self, DeviceError> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == word);
        found.ok_or_else(|| DeviceError::Unknown(TextError::unknown("device", word, Self::ALL.map(Self::name))))
    }
}

serde_as_text!(DeviceKind);

/// The device of this name.
///
/// # Errors
/// Where there is no such kind, it is not compiled in, or this machine has none.
pub fn device(name: &str) -> Result<Device, DeviceError> {
    name.parse::<DeviceKind>()?.device()
}

/// Whether tensors of this device lie in the memory of the processor.
pub(crate) fn is_host(device: &Device) -> bool {
    let hosts = [DeviceKind::Flex, DeviceKind::NdArray].into_iter().filter_map(|kind| kind.device().ok());
    hosts.into_iter().any(|host| host == *device)
}

fn list(which: impl Fn(DeviceKind) -> bool) -> String {
    let names: Vec<_> = DeviceKind::ALL.into_iter().filter(|kind| which(*kind)).map(DeviceKind::name).collect();
    names.join(", ")
}

fn lacking() -> String {
    match list(|kind| !kind.is_built()) {
        none if none.is_empty() => none,
        some => format!("; of these this build lacks {some}, which come with features of the same names"),
    }
}

/// A software rasteriser is an adapter too, and no reason to leave the CPU backend.
#[cfg(feature = "wgpu")]
fn has_gpu() -> bool {
    wgpu().and_then(|gpu| gpu.identity()).is_some_and(|identity| identity.physical.is_some())
}

#[cfg(not(feature = "wgpu"))]
fn has_gpu() -> bool {
    false
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Option<Device> {
    use ::burn::tensor::DeviceType;
    Device::enumerate(DeviceType::Wgpu).into_vec().into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pins that words of other builds still read, and that a refusal says what is allowed and what this build lacks.
    #[test]
    fn every_kind_reads_and_a_refusal_tells_what_is_allowed() {
        for kind in DeviceKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
            assert_eq!(serde_json::from_str::<DeviceKind>(&format!("\"{kind}\"")).unwrap(), kind);
            match kind.device() {
                Ok(_) => assert!(kind.is_built() && kind.resolve().is_ok_and(|kind| kind != DeviceKind::Auto)),
                Err(DeviceError::NotBuilt(own)) => assert!(own == kind && !kind.is_built()),
                Err(error) => assert!(matches!(error, DeviceError::NoAdapter(_) | DeviceError::NoBackend), "{error}"),
            }
        }
        let message = "gpu".parse::<DeviceKind>().unwrap_err().to_string();
        assert!(message.starts_with("unknown device `gpu`; did you mean `wgpu`? known: auto, flex, ndarray, wgpu"));
        let lacks = message.split_once("lacks ").map(|(_, lacks)| lacks);
        for kind in DeviceKind::ALL {
            let told = lacks.is_some_and(|lacks| lacks.contains(kind.name()));
            assert_eq!(told, !kind.is_built(), "{kind}: {message}");
            let error = DeviceError::NotBuilt(kind).to_string();
            assert!(error.starts_with(&format!("this build has no `{kind}`")), "{error}");
        }
    }
}
