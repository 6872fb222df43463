//! What a run came to.

use backburn_optim::{Bytes, DeviceKind, OnLink};
use serde::{Deserialize, Serialize};

/// What a run came to: `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Steps taken.
    pub steps: u64,
    /// Rounds skipped for gradients that were not finite.
    pub skipped: u64,
    /// The mean loss of the last step's batches.
    #[serde(deserialize_with = "or_nan")]
    pub train_loss: f64,
    /// The mean loss on the test set.
    #[serde(deserialize_with = "or_nan")]
    pub test_loss: f64,
    /// The fraction of the test set that is classified rightly; of text, of the bytes that are told from what is before.
    #[serde(deserialize_with = "or_nan")]
    pub test_accuracy: f64,
    /// Of text: e to the power of the loss on the test set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<f64>,
    /// Megabytes (10⁶ bytes) a worker sent and received from a server, from the encoded messages.
    pub megabytes: Bytes<f64>,
    /// Bytes up without compression over bytes up.
    #[serde(deserialize_with = "or_nan")]
    pub compression_ratio: f64,
    /// Seconds spent in steps.
    pub seconds: f64,
    /// Seconds that all exchanges take on the configuration's links, computing not included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_on_link: Option<OnLink>,
    /// Where workers step by themselves: the seconds that they waited for rounds, over those that they stepped in, since
    /// this process began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_share: Option<f64>,
    /// Megabytes that the processes of the run have sent to each other in its steps, reports and all: what a network has
    /// carried, but for its own headers. None where there is one process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub megabytes_between: Option<f64>,
    /// Trainable parameters.
    pub parameters: u64,
    /// The device.
    pub device: DeviceKind,
}

/// JSON has no NaN: serde writes `null` for it.
fn or_nan<'de, D: serde::Deserializer<'de>>(number: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(number)?.unwrap_or(f64::NAN))
}
