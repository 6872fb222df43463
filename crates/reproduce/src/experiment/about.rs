//! What is known of an experiment before it runs.

/// What is known of an experiment before it runs.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The name it is asked for by.
    pub name: &'static str,
    /// What it shows, in a line.
    pub title: &'static str,
    /// The paper, and the figure or table in it.
    pub source: &'static str,
    /// What is claimed.
    pub claims: &'static [&'static str],
    /// The expected time on two cores at small scale, and on a GPU at paper scale.
    pub time: [&'static str; 2],
}
