//! Smaller and rounder values for a field.

use crate::rng::Dist;
use crate::scenario::tree::Data;
use crate::time::Span;

/// What to try for a value, the best first. `key` is its field, `section` the part of the file that it is in.
pub(super) fn candidates(section: &str, key: &str, data: &Data) -> Vec<Data> {
    if matches!(section, "expect" | "test") {
        return Vec::new();
    }
    match (key, data) {
        ("duration" | "for" | "settle" | "ttl" | "flap", Data::Text(text)) => match Span::parse(text) {
            Ok(span) => {
                let zero = (key == "settle" && span > Span::ZERO).then_some(Span::ZERO);
                let least = match key {
                    "duration" | "settle" => Span::from_secs(1),
                    _ => Span::from_ms(1),
                };
                let smaller = smaller(span, least).into_iter();
                texts(zero.into_iter().chain(smaller).chain(rounder(span).into_iter().filter(|round| *round < span)))
            }
            Err(_) => constant(text),
        },
        ("rate", Data::Text(text)) => slower(text),
        ("count" | "keys", Data::Int(number)) => fewer(*number),
        ("write-ratio", Data::Float(share)) if *share != 1.0 => vec![Data::Float(1.0)],
        (_, Data::Text(text)) => match Span::parse(text) {
            Ok(span) => texts(rounder(span)),
            Err(_) => constant(text),
        },
        _ => Vec::new(),
    }
}

fn texts(spans: impl IntoIterator<Item = Span>) -> Vec<Data> {
    spans.into_iter().map(|span| Data::Text(span.to_string())).collect()
}

/// The median of a distribution, with two digits.
fn constant(text: &str) -> Vec<Data> {
    match Dist::parse(text) {
        Ok(Dist::Constant(_)) | Err(_) => Vec::new(),
        Ok(dist) => texts([digits(dist.median(), 2, Toward::Nearest)]),
    }
}

/// Shorter ones with two digits at most, the shortest first, and none below `least`.
pub(super) fn smaller(span: Span, least: Span) -> Vec<Span> {
    let mut out = Vec::new();
    if least < span {
        out.push(least);
    }
    for (part, of) in [(1, 64), (1, 16), (1, 8), (1, 4), (1, 2), (3, 4), (9, 10), (19, 20)] {
        let wanted = Span(span.0 / of * part);
        let rounded = digits(wanted, 2, Toward::Nearest);
        if rounded > least && rounded < span && !out.contains(&rounded) {
            out.push(rounded);
        }
    }
    out.sort_unstable();
    out
}

/// Those with fewer digits near it, the roundest first.
pub(super) fn rounder(span: Span) -> Vec<Span> {
    let mut out = Vec::new();
    for count in 1..=8 {
        for toward in [Toward::Nearest, Toward::Up, Toward::Zero] {
            let rounded = digits(span, count, toward);
            // One digit may be far off: then it isn't the same number made rounder.
            let near = rounded.0.abs_diff(span.0) <= span.0 / 10;
            if rounded == span {
                return out;
            }
            if near && rounded > Span::ZERO && !out.contains(&rounded) {
                out.push(rounded);
            }
        }
    }
    out
}

#[derive(Clone, Copy)]
enum Toward {
    Nearest,
    Up,
    Zero,
}

/// With so many significant digits.
fn digits(span: Span, count: u32, toward: Toward) -> Span {
    if span.0 == 0 {
        return span;
    }
    let unit = 10u64.pow((span.0.ilog10() + 1).saturating_sub(count));
    let (whole, rest) = (span.0 / unit, span.0 % unit);
    let up = match toward {
        Toward::Nearest => rest >= unit.div_ceil(2) && rest > 0,
        Toward::Up => rest > 0,
        Toward::Zero => false,
    };
    Span((whole + u64::from(up)).saturating_mul(unit))
}

fn fewer(number: i128) -> Vec<Data> {
    let mut out = vec![1, 2, 5, 10, 100, number / 4, number / 2, number - 1];
    out.retain(|&n| (1..number).contains(&n));
    out.sort_unstable();
    out.dedup();
    out.into_iter().map(Data::Int).collect()
}

fn slower(text: &str) -> Vec<Data> {
    let Some((number, unit)) = text.split_once('/') else { return Vec::new() };
    let Ok(number) = number.trim().parse::<f64>() else { return Vec::new() };
    let round = [1u32, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
    let fewer = round.into_iter().filter(|&n| f64::from(n) < number);
    fewer.map(|n| Data::Text(format!("{n}/{}", unit.trim()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_round_and_small() {
        let shown = |spans: Vec<Span>| spans.iter().map(Span::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(
            shown(rounder(Span(12_345_678_901))),
            "12s 13s 12.3s 12.4s 12.35s 12.34s 12.346s 12.345s 12.3457s 12.3456s 12.34568s 12.34567s 12.345679s 12.345678s"
        );
        assert_eq!(shown(rounder(Span::from_secs(12))), "");
        assert_eq!(shown(rounder(Span::from_ms(1_900))), "2s");
        assert_eq!(shown(smaller(Span::from_secs(60), Span::from_secs(1))), "1s 3.8s 7.5s 15s 30s 45s 54s 57s");
        assert_eq!(fewer(5), [1, 2, 4].map(Data::Int));
        assert_eq!(slower("50/s").len(), 5);
        assert_eq!(
            candidates("network", "latency", &Data::Text("uniform(300us, 700us)".into())),
            texts([Span::from_us(500)])
        );
    }
}
