//! Aligned columns and wrapped paragraphs of plain text. Widths count characters.

use std::fmt::Write as _;

/// Which side a column's cells lean on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// To the left.
    Left,
    /// To the right: numbers.
    Right,
}

/// Rows of cells.
#[derive(Clone, Debug)]
pub struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns.
    #[must_use]
    pub fn new(align: &[Align]) -> Table {
        Table { align: align.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; cells beyond the columns are dropped.
    pub fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.iter().take(self.align.len()).map(|cell| (*cell).to_owned()).collect());
    }

    /// The rows, two blanks between columns, without blanks at the ends of lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.align.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let mut out = String::new();
            for (column, cell) in row.iter().enumerate() {
                let gap = if column > 0 { "  " } else { "" };
                let width = widths[column];
                match self.align[column] {
                    Align::Left => write!(out, "{gap}{cell:<width$}"),
                    Align::Right => write!(out, "{gap}{cell:>width$}"),
                }
                .expect("writing to a string cannot fail");
            }
            out.truncate(out.trim_end().len());
            out
        };
        self.rows.iter().map(line).collect()
    }
}

/// Breaks text at blanks into lines of at most `width` characters; the second and later ones begin with `indent`
/// blanks. A longer word gets a line of its own.
#[must_use]
pub fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), 0);
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && used + 1 + length > width && !line.trim().is_empty() {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            used = indent;
        } else if index > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
    }
    lines.push(line);
    lines
}

/// The text, or its beginning and an ellipsis if it is longer than `width` characters.
#[must_use]
pub fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[Align::Left, Align::Right]);
        table.row(["writes.lost", "0"]);
        table.row(["×", "1,049"]);
        assert_eq!(table.lines(), ["writes.lost      0", "×            1,049"]);
    }

    #[test]
    fn paragraphs_break_at_blanks() {
        assert_eq!(wrap("one two three", 7, 2), ["one two", "  three"]);
        assert_eq!(wrap("unbreakable x", 4, 1), ["unbreakable", " x"]);
        assert_eq!(wrap("", 10, 0), [""]);
        assert_eq!(shorten("abcdef", 4), "abc…");
    }
}
