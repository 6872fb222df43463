//! Devices by name.

use ::burn::tensor::Device;

/// The names of devices that this build can have.
pub const DEVICES: &[&str] = &[
    "auto",
    #[cfg(feature = "flex")]
    "flex",
    #[cfg(feature = "ndarray")]
    "ndarray",
    #[cfg(feature = "wgpu")]
    "wgpu",
];

/// Why there is no such device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Not a name, or not compiled in.
    #[error("unknown device `{name}`; this build has: {}. Others come with the features `flex`, `ndarray`, `wgpu`", DEVICES.join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
    /// Compiled in, but the machine has none.
    #[error("no {0} adapter was found on this machine")]
    NoAdapter(&'static str),
    /// Built without any backend.
    #[error("this build has no backend; enable one of the features `flex`, `ndarray`, `wgpu`")]
    NoBackend,
}

/// The device of this name. `auto` takes a GPU where one is found, else the CPU; burn's own default
/// would take wgpu unprobed wherever it is compiled in. `wgpu` takes any adapter, one in software included.
pub fn device(name: &str) -> Result<Device, DeviceError> {
    match name {
        "auto" => auto(),
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        "ndarray" => {
            #[allow(deprecated)] // burn 0.22 still has it
            Ok(Device::ndarray())
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => wgpu().ok_or(DeviceError::NoAdapter("wgpu")),
        _ => Err(DeviceError::Unknown { name: name.into() }),
    }
}

/// A short name for messages: `flex`, `wgpu`, ….
pub fn device_name(device: &Device) -> String {
    let text = format!("{device:?}").to_lowercase();
    let known = ["flex", "ndarray", "wgpu"].into_iter().find(|name| text.contains(name));
    known.map_or(text.clone(), str::to_string)
}

fn auto() -> Result<Device, DeviceError> {
    // A software rasteriser is an adapter too, and no reason to leave the CPU backend.
    #[cfg(feature = "wgpu")]
    if let Some(gpu) = wgpu()
        && gpu.identity().is_some_and(|identity| identity.physical.is_some())
    {
        return Ok(gpu);
    }
    cpu()
}

#[cfg(feature = "flex")]
fn cpu() -> Result<Device, DeviceError> {
    Ok(Device::flex())
}

#[cfg(all(feature = "ndarray", not(feature = "flex")))]
fn cpu() -> Result<Device, DeviceError> {
    #[allow(deprecated)]
    Ok(Device::ndarray())
}

#[cfg(not(any(feature = "flex", feature = "ndarray")))]
fn cpu() -> Result<Device, DeviceError> {
    if cfg!(feature = "wgpu") { Err(DeviceError::NoAdapter("wgpu")) } else { Err(DeviceError::NoBackend) }
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Option<Device> {
    use ::burn::tensor::DeviceType;
    Device::enumerate(DeviceType::Wgpu).into_vec().into_iter().next()
}
