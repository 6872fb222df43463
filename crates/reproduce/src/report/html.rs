//! The pieces of a page that needs no other file, no script and no network.

use std::fmt::Write;

use crate::experiment::Table;

const STYLE: &str = include_str!("report.css");

/// A whole page: what stands within `<title>`, and within `<main>`.
pub fn page(title: &str, main: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         {}\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{main}</main>\n</body>\n</html>\n",
        self::title(title)
    )
}

fn title(title: &str) -> String {
    format!("<title>{}</title>", escape(title))
}

/// Whether it is a page of ours under this title.
pub fn is_titled(page: &[u8], title: &str) -> bool {
    let title = self::title(title);
    page.windows(title.len()).any(|part| part == title.as_bytes())
}

/// A table with its title as a heading.
pub fn table(table: &Table, html: &mut String) {
    if !table.title.is_empty() {
        let _ = writeln!(html, "<h3>{}</h3>", escape(&table.title));
    }
    html.push_str("<div class=\"wide\"><table>\n<thead><tr>");
    table.head.iter().for_each(|cell| html.push_str(&format!("<th>{}</th>", escape(cell))));
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        let _ = writeln!(html, "<tr>{cells}</tr>");
    }
    html.push_str("</tbody></table></div>\n");
}

/// A figure that is drawn already, with what a reader is told who cannot see it.
pub fn figure(id: &str, label: &str, svg: &str, html: &mut String) {
    let (id, label) = (escape(id), escape(label));
    let _ = writeln!(html, "<figure id=\"{id}\" role=\"img\" aria-label=\"{label}\">\n{}\n</figure>", inline(svg));
}

/// The picture without what only a file of its own needs.
fn inline(svg: &str) -> String {
    let from = svg.find("<svg").unwrap_or(0);
    svg[from..].replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1)
}

/// As text within an element or an attribute.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
