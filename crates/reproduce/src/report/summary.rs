//! What the report leads with: every claim by its paper, with the way to its figure, its numbers and its command.

use std::fmt::Write;

use super::html::escape;
use super::{Section, mark};
use crate::experiment::papers;
use crate::experiments::EXPERIMENTS;
use crate::record::Verdict;

/// Writes the count of all verdicts, a table for each paper, and what has not been run.
pub fn write(sections: &[Section], html: &mut String) {
    let count = |verdict| sections.iter().map(|s| s.count(verdict)).sum::<usize>();
    let _ = writeln!(
        html,
        "<p>{} experiments. Of the claims, {} hold (✓), {} fail (✗), {} are undecided (?) and {} not measured (–).</p>",
        sections.len(),
        count(Some(Verdict::Holds)),
        count(Some(Verdict::Fails)),
        count(Some(Verdict::Undecided)),
        count(None)
    );
    for (paper, sections) in by_paper(sections) {
        let _ = write!(
            html,
            "<div class=\"verdicts\">\n<h3>{}</h3>\n<div class=\"wide\"><table>\n<thead><tr><th></th><th>claim</th>\
             <th>measured</th><th>see</th></tr></thead>\n<tbody>\n",
            escape(&paper)
        );
        sections.iter().for_each(|section| rows(section, html));
        html.push_str("</tbody></table></div>\n</div>\n");
    }
    let missing = EXPERIMENTS.iter().map(|e| e.about().name);
    let missing: Vec<&str> = missing.filter(|name| sections.iter().all(|s| s.about.name != *name)).collect();
    if !missing.is_empty() {
        let _ = writeln!(html, "<p class=\"source\">Not run here: {}.</p>", escape(&missing.join(", ")));
    }
}

fn rows(section: &Section, html: &mut String) {
    let name = escape(section.about.name);
    for (i, claim) in section.claims.iter().enumerate() {
        let place = claim.source.strip_prefix(paper(&claim.source).as_str()).unwrap_or(&claim.source);
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}<br><span class=\"source\">{}</span></td>\
             <td><div class=\"clip figures\">{}</div></td>\
             <td><a href=\"#{name}-figure\">figure</a> <a href=\"#{name}-{i}\">numbers</a> \
             <a href=\"#{name}-command\">command</a></td></tr>",
            mark(claim),
            escape(&claim.claim),
            escape(place.trim_start_matches([',', ' '])),
            escape(&claim.measured),
        );
    }
}

/// The sections by the paper that their experiment is of, in the order in which they come.
fn by_paper(sections: &[Section]) -> Vec<(String, Vec<&Section>)> {
    let mut papers: Vec<(String, Vec<&Section>)> = Vec::new();
    for section in sections {
        let paper = paper(section.about.source);
        match papers.iter_mut().find(|(known, _)| *known == paper) {
            Some((_, sections)) => sections.push(section),
            None => papers.push((paper, vec![section])),
        }
    }
    papers
}

/// The paper in a citation: authors and year, and its title where it is one of those that are reproduced.
fn paper(source: &str) -> String {
    let digits = source.as_bytes().windows(4).position(|part| part.iter().all(u8::is_ascii_digit));
    let short = digits.map_or(source, |at| &source[..at + 4]);
    papers::ALL.iter().find(|paper| paper.starts_with(short)).map_or(short, |paper| *paper).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paper_is_known_by_its_authors_and_year() {
        for (source, named) in [
            ("Karimireddy et al. 2019, §6, Figure 4", papers::FIXES),
            (&format!("{}, Theorem I", papers::FIXES), papers::FIXES),
            ("Fatkhullin et al. 2023, poster; Beznosikov et al. 2020, Example 1", papers::MOMENTUM),
            ("Stich 2018, Theorem 2.2", "Stich 2018"),
            ("no year at all", "no year at all"),
        ] {
            assert_eq!(paper(source), named, "{source}");
        }
        for experiment in EXPERIMENTS {
            let about = experiment.about();
            assert!(paper(about.source).len() < about.source.len() + 60, "{}", about.name);
        }
    }
}
