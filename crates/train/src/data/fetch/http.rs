//! The publishers' own servers.

use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use ureq::Agent;

use super::archive;
use super::progress::Progress;
use super::{Sink, SourceError};

/// A machine without a network should find out quickly.
const PATIENCE: Duration = Duration::from_secs(10);
/// A server that has answered may still stall now and then.
const STALL: Duration = Duration::from_secs(60);

/// The wanted files of a `.tar.gz`, unpacked while it comes.
pub(crate) fn archive(url: &str, sink: &mut Sink, progress: &Progress) -> Result<(), SourceError> {
    let name = url.rsplit('/').next().unwrap_or(url);
    let (body, length) = get(url)?;
    archive::take(GzDecoder::new(progress.of(body, length, name)), sink)
}

/// The wanted files, one by one.
pub(crate) fn files(base: &str, suffix: &str, sink: &mut Sink, progress: &Progress) -> Result<(), SourceError> {
    let files = sink.entry.files;
    for file in files {
        if let Some(file) = sink.wanted(file.name) {
            let name = format!("{}{suffix}", file.name);
            let (body, length) = get(&format!("{base}{name}"))?;
            let bytes = archive::read_at_most(&mut progress.of(body, length, &name), file.read_limit())?;
            sink.put(file, bytes)?;
        }
    }
    Ok(())
}

fn get(url: &str) -> Result<(impl Read + use<>, Option<u64>), SourceError> {
    let agent: Agent = Agent::config_builder()
        .timeout_resolve(Some(PATIENCE))
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(STALL))
        // The files are compressed already, and their own compression must stay.
        .accept_encoding("identity")
        .build()
        .into();
    let response = agent.get(url).call().map_err(|error| SourceError::Http(error.into()))?;
    let body = response.into_body();
    let length = body.content_length();
    Ok((body.into_reader(), length))
}
