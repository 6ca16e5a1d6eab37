//! LCS: the longest common subsequence of two strings.

use crate::server::call::Cx;
use crate::server::cost;
use crate::server::keyspace::Type;

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    with_len: bool,
    min_len: u32,
}

/// A run that both strings share: first and last index in each.
struct Match {
    a: (u32, u32),
    b: (u32, u32),
}

pub(super) fn lcs(cx: &mut Cx<'_>) {
    let found = [cx.find_read(1), cx.find_read(2)];
    if found.iter().flatten().any(|&at| cx.entry(at).value.kind() != Type::String) {
        return cx.add_error("ERR The specified keys must contain string values");
    }
    let [a, b] = found.map(|at| at.map_or_else(bytes::Bytes::new, |at| cx.entry(at).value.text()));
    let Some(options) = parse(cx) else { return };
    if options.len && options.idx {
        return cx.add_error("ERR If you want both the length and indexes, please just use IDX.");
    }
    let cells = (a.len() as u64 + 1).saturating_mul(b.len() as u64 + 1);
    if cells.saturating_mul(4) > cx.s.config.proto_max_bulk_len {
        return cx.add_error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    }
    cx.s.meter.add(cells * cost::ELEMENT / 20);
    let table = Table::new(&a, &b);
    let total = table.at(a.len(), b.len());
    if options.len {
        return cx.add_integer(i64::from(total));
    }
    let (common, matches) = table.walk(&a, &b);
    if !options.idx {
        return cx.add_bulk(&common);
    }
    let matches: Vec<Match> =
        matches.into_iter().filter(|m| options.min_len == 0 || m.a.1 - m.a.0 + 1 >= options.min_len).collect();
    cx.add_map(2);
    cx.add_bulk(b"matches");
    cx.add_array(matches.len());
    for m in &matches {
        cx.add_array(2 + usize::from(options.with_len));
        for (from, to) in [m.a, m.b] {
            cx.add_array(2);
            cx.add_integer(i64::from(from));
            cx.add_integer(i64::from(to));
        }
        if options.with_len {
            cx.add_integer(i64::from(m.a.1 - m.a.0 + 1));
        }
    }
    cx.add_bulk(b"len");
    cx.add_integer(i64::from(total));
}

fn parse(cx: &mut Cx<'_>) -> Option<Options> {
    let mut options = Options::default();
    let mut i = 3;
    while i < cx.args.len() {
        if cx.arg_is(i, "idx") {
            options.idx = true;
        } else if cx.arg_is(i, "len") {
            options.len = true;
        } else if cx.arg_is(i, "withmatchlen") {
            options.with_len = true;
        } else if cx.arg_is(i, "minmatchlen") && i + 1 < cx.args.len() {
            let least = cx.int_arg(i + 1)?;
            options.min_len = u32::try_from(least.max(0)).unwrap_or(u32::MAX);
            i += 1;
        } else {
            cx.add_syntax_error();
            return None;
        }
        i += 1;
    }
    Some(options)
}

/// Lengths of common subsequences of all pairs of prefixes.
struct Table {
    cells: Vec<u32>,
    width: usize,
}

impl Table {
    fn new(a: &[u8], b: &[u8]) -> Table {
        let width = b.len() + 1;
        let mut table = Table { cells: vec![0; width * (a.len() + 1)], width };
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                let value = if a[i - 1] == b[j - 1] {
                    table.at(i - 1, j - 1) + 1
                } else {
                    table.at(i - 1, j).max(table.at(i, j - 1))
                };
                table.cells[i * width + j] = value;
            }
        }
        table
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }

    /// The subsequence and its runs, from the end to the beginning as Redis lists them.
    fn walk(&self, a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<Match>) {
        let place = |at: usize| u32::try_from(at).expect("the table would not fit otherwise");
        let (mut common, mut matches, mut run) = (Vec::new(), Vec::<Match>::new(), None::<Match>);
        let (mut i, mut j) = (a.len(), b.len());
        while i > 0 && j > 0 {
            let mut emit = false;
            if a[i - 1] == b[j - 1] {
                common.push(a[i - 1]);
                let (x, y) = (place(i - 1), place(j - 1));
                let current = run.get_or_insert(Match { a: (x, x), b: (y, y) });
                if current.a.0 == x + 1 && current.b.0 == y + 1 {
                    (current.a.0, current.b.0) = (x, y);
                } else if current.a.0 != x {
                    emit = true;
                }
                emit |= current.a.0 == 0 || current.b.0 == 0;
                i -= 1;
                j -= 1;
            } else {
                if self.at(i - 1, j) > self.at(i, j - 1) {
                    i -= 1;
                } else {
                    j -= 1;
                }
                emit = run.is_some();
            }
            if emit {
                matches.extend(run.take());
            }
        }
        common.reverse();
        (common, matches)
    }
}
