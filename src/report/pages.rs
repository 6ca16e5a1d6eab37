//! Pages about many runs: what they share. A page opens from disk, needs no network and no script, and prints.

use super::chart::{self, Chart};
use super::html::escape;

/// A page that is being put together, from the top down.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    body: String,
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A number, to the right.
    Number(String),
    /// Something to be typed, or a name of the scenario.
    Code(String),
}

impl Page {
    /// With a title and a sentence about it (which may be empty).
    #[must_use]
    pub fn new(title: &str, about: &str) -> Page {
        let mut body = format!("<header>\n<h1>{}</h1>\n", escape(title));
        if !about.is_empty() {
            body.push_str(&format!("<p class=\"about\">{}</p>\n", escape(about)));
        }
        body.push_str("</header>\n");
        Page { title: title.to_owned(), body }
    }

    /// Facts with their names: seeds, runs.
    pub fn facts(&mut self, facts: &[(&str, String)]) {
        self.body.push_str("<dl class=\"receipt\">\n");
        for (name, value) in facts {
            let row = format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value));
            self.body.push_str(&row);
        }
        self.body.push_str("</dl>\n");
    }

    /// A sentence.
    pub fn say(&mut self, text: &str) {
        self.body.push_str(&format!("<p>{}</p>\n", escape(text)));
    }

    /// A command, with what it does.
    pub fn command(&mut self, what: &str, command: &str) {
        self.body.push_str(&format!("<p>{}: <code>{}</code></p>\n", escape(what), escape(command)));
    }

    /// A table; rows that are bad are marked.
    pub fn table(&mut self, heading: &str, columns: &[&str], rows: &[(bool, Vec<Cell>)]) {
        let head: String = columns.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
        self.body.push_str(&format!(
            "<section>\n<h2>{}</h2>\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n",
            escape(heading)
        ));
        for (bad, cells) in rows {
            let cells: String = cells.iter().map(Cell::html).collect();
            let class = if *bad { " class=\"bad\"" } else { "" };
            self.body.push_str(&format!("<tr{class}>{cells}</tr>\n"));
        }
        self.body.push_str("</tbody>\n</table>\n</section>\n");
    }

    /// A chart.
    pub fn chart(&mut self, chart: &Chart) {
        let title = escape(&chart.title);
        self.body.push_str(&format!("<figure id=\"{}\" aria-label=\"{title}\">\n", escape(&chart.name)));
        self.body.push_str(&chart.inline_svg());
        self.body.push_str(&format!("<figcaption>{}</figcaption>\n</figure>\n", escape(&chart.alt)));
    }

    /// The page, with links to the files beside it.
    #[must_use]
    pub fn finish(self, files: &[String]) -> String {
        let links: Vec<String> = files.iter().map(|name| format!("<a href=\"{0}\">{0}</a>", escape(name))).collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{} · splitbrain</title>\n<style>\n{}</style>\n{}</head>\n<body>\n<main>\n{}\
             <section>\n<h2>Files</h2>\n<p>{}</p>\n</section>\n</main>\n</body>\n</html>\n",
            escape(&self.title),
            include_str!("page.css"),
            chart::font_style(),
            self.body,
            links.join(" · ")
        )
    }
}

impl Cell {
    fn html(&self) -> String {
        match self {
            Cell::Text(text) => format!("<td>{}</td>", escape(text)),
            Cell::Number(text) => format!("<td class=\"number\">{}</td>", escape(text)),
            Cell::Code(text) => format!("<td><code>{}</code></td>", escape(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_and_escapes_what_it_shows() {
        let mut page = Page::new("a<b", "c&d");
        page.facts(&[("seeds", "0..<5".to_owned())]);
        page.table("t", &["x"], &[(true, vec![Cell::Code("a[0]>1".to_owned())])]);
        let text = page.finish(&["x.json".to_owned()]);
        assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n"));
        for shown in ["a&lt;b", "c&amp;d", "0..&lt;5", "a[0]&gt;1", "href=\"x.json\"", "<tr class=\"bad\">"] {
            assert!(text.contains(shown), "{shown}");
        }
        assert!(!text.contains("http"), "nothing is fetched");
    }
}
