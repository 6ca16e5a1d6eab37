//! The page of a sweep: one file that opens from disk, needs no network and no script.

use super::json::{command, failures};
use super::judge::{Judged, show};
use super::{Part, Sweep};
use crate::check::metrics::thousands;
use crate::check::{METRICS, Unit};
use crate::report::chart::{self, Chart};
use crate::report::html::escape;
use crate::stats::{Interval, Proportion};

/// Groups of failed runs that are shown of each variant.
const GROUPS_MAX: usize = 50;

/// The page, with the charts inside and links to the other files.
#[must_use]
pub fn page(sweep: &Sweep, charts: &[Chart], files: &[String]) -> String {
    let mut out = String::with_capacity(1 << 17);
    let title = escape(&sweep.plan.scenario);
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.push_str(&format!("<title>{title}: {} seeds · splitbrain</title>\n", thousands(sweep.plan.seed_count)));
    out.push_str(&format!("<style>\n{}</style>\n", include_str!("../page.css")));
    if !charts.is_empty() {
        out.push_str(&chart::font_style());
    }
    out.push_str("</head>\n<body>\n<main>\n");
    head(&mut out, sweep);
    if !sweep.plan.axes.is_empty() {
        variants(&mut out, sweep);
    }
    for (at, part) in sweep.parts.iter().enumerate() {
        expectations(&mut out, sweep, at, part);
    }
    for (at, part) in sweep.parts.iter().enumerate() {
        groups(&mut out, sweep, at, part);
    }
    for chart in charts {
        let title = escape(&chart.title);
        out.push_str(&format!("<figure id=\"{}\" aria-label=\"{title}\">\n", chart.name));
        out.push_str(&chart.inline_svg());
        out.push_str(&format!("<figcaption>{}</figcaption>\n</figure>\n", escape(&chart.alt)));
    }
    for (at, part) in sweep.parts.iter().enumerate() {
        figures(&mut out, sweep, at, part);
    }
    links(&mut out, files);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn head(out: &mut String, sweep: &Sweep) {
    let plan = &sweep.plan;
    let Proportion { hits, of } = sweep.passed();
    out.push_str(&format!("<header>\n<h1>{}</h1>\n", escape(&plan.scenario)));
    if !plan.description.is_empty() {
        out.push_str(&format!("<p class=\"about\">{}</p>\n", escape(&plan.description)));
    }
    let mut rows = vec![("seeds", plan.seeds.clone()), ("runs", thousands(of)), ("failed", thousands(of - hits))];
    rows.extend(plan.shard.map(|shard| ("shard", shard.to_string())));
    rows.push(("digest of all rows", sweep.digest.to_string()));
    rows.push(("splitbrain", plan.splitbrain.clone()));
    out.push_str("<dl class=\"receipt\">\n");
    for (name, value) in rows {
        out.push_str(&format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escape(&value)));
    }
    out.push_str("</dl>\n</header>\n");
}

/// What follows a heading when there are several variants.
fn of_variant(sweep: &Sweep, at: usize) -> String {
    let label = sweep.plan.label(at);
    if label.is_empty() { label } else { format!(" <small>{}</small>", escape(&label)) }
}

fn row(out: &mut String, class: &str, cells: &[String]) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    out.push_str(&format!("<tr{class}>{}</tr>\n", cells.concat()));
}

fn cell(text: &str) -> String {
    format!("<td>{}</td>", escape(text))
}

fn number(text: &str) -> String {
    format!("<td class=\"number\">{}</td>", escape(text))
}

fn head_row(out: &mut String, names: &[&str]) {
    let cells: String = names.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
    out.push_str(&format!("<table>\n<thead><tr>{cells}</tr></thead>\n<tbody>\n"));
}

fn variants(out: &mut String, sweep: &Sweep) {
    out.push_str("<section>\n<h2>Variants</h2>\n");
    let mut names: Vec<&str> = vec![""];
    names.extend(sweep.plan.axes.iter().map(|axis| axis.field.as_str()));
    let metrics: Vec<_> = super::charts::drawn(sweep);
    let keys: Vec<String> =
        metrics.iter().map(|(_, m)| format!("{}.{}", m.name, super::charts::statistic(sweep, m))).collect();
    names.push("failed");
    names.extend(keys.iter().map(String::as_str));
    head_row(out, &names);
    for (at, part) in sweep.parts.iter().enumerate() {
        let (class, sign) = if part.failed() { ("bad", "✘") } else { ("good", "✔") };
        let mut cells = vec![format!("<td class=\"sign\">{sign}</td>")];
        let choice = &sweep.plan.variants[at].choice;
        cells.extend(sweep.plan.axes.iter().zip(choice).map(|(axis, c)| number(&super::plan::text(&axis.values[*c]))));
        let Proportion { hits, of } = part.tally.passed;
        cells.push(number(&format!("{} of {}", thousands(of - hits), thousands(of))));
        for (place, metric) in &metrics {
            let value = part.figures[*place].statistic(&super::charts::statistic(sweep, metric)).0;
            cells.push(number(&show(metric.unit, value)));
        }
        row(out, class, &cells);
    }
    out.push_str("</tbody>\n</table>\n</section>\n");
}

fn expectations(out: &mut String, sweep: &Sweep, at: usize, part: &Part) {
    if part.expect.is_empty() {
        return;
    }
    out.push_str(&format!("<section>\n<h2>Expectations{}</h2>\n", of_variant(sweep, at)));
    head_row(out, &["", "metric", "expected", "outcome", "95% confidence", "runs without a value"]);
    for judged in &part.expect {
        let (class, sign) = if judged.passed { ("good", "✔") } else { ("bad", "✘") };
        let expectation = &judged.expectation;
        let (outcome, ci) = outcome(judged);
        row(
            out,
            class,
            &[
                format!("<td class=\"sign\">{sign}</td>"),
                format!("<td><code>{}</code></td>", escape(&expectation.key())),
                cell(&expectation.expected()),
                cell(&outcome),
                cell(&ci),
                number(&thousands(judged.absent)),
            ],
        );
    }
    out.push_str("</tbody>\n</table>\n</section>\n");
}

fn outcome(judged: &Judged) -> (String, String) {
    let unit = super::judge::unit(&judged.expectation.metric);
    if judged.expectation.statistic.is_some() {
        return (show(unit, judged.actual.number()), interval(unit, judged.interval));
    }
    let Proportion { hits, of } = judged.held;
    let share = Proportion { hits: of - hits, of };
    let ci = interval(Unit::Ratio, share.interval());
    (format!("fails in {} of {} runs", thousands(of - hits), thousands(of)), format!("{ci} of runs fail"))
}

fn interval(unit: Unit, ci: Option<Interval>) -> String {
    let Some(ci) = ci else { return String::new() };
    match (ci.low, ci.high) {
        (Some(low), Some(high)) => format!("{} to {}", show(unit, Some(low)), show(unit, Some(high))),
        (Some(low), None) => format!("{} or more", show(unit, Some(low))),
        (None, Some(high)) => format!("at most {}", show(unit, Some(high))),
        (None, None) => "too few runs".to_owned(),
    }
}

fn groups(out: &mut String, sweep: &Sweep, at: usize, part: &Part) {
    let groups = part.tally.groups.sorted();
    if groups.is_empty() {
        return;
    }
    out.push_str(&format!("<section>\n<h2>Failed runs{}</h2>\n", of_variant(sweep, at)));
    head_row(out, &["runs", "what failed", "what happened", "to see one of them"]);
    for (kind, group) in groups.iter().take(GROUPS_MAX) {
        let mut what = failures(sweep, at, kind);
        what.extend(group.problem.clone());
        row(
            out,
            "",
            &[
                number(&thousands(group.count)),
                cell(&what.join(", ")),
                cell(&kind.signature),
                format!("<td><code>{}</code></td>", escape(&command(sweep, at, group))),
            ],
        );
    }
    out.push_str("</tbody>\n</table>\n");
    let rest: u64 =
        groups.iter().skip(GROUPS_MAX).map(|(_, group)| group.count).sum::<u64>() + part.tally.groups.others;
    if rest > 0 {
        out.push_str(&format!("<p>{} more failed in other ways.</p>\n", thousands(rest)));
    }
    out.push_str("</section>\n");
}

fn figures(out: &mut String, sweep: &Sweep, at: usize, part: &Part) {
    let folded = sweep.parts.len() > 1;
    out.push_str(&format!("<section>\n<h2>Metrics{}</h2>\n", of_variant(sweep, at)));
    out.push_str(if folded { "<details>\n<summary>all figures</summary>\n" } else { "" });
    head_row(out, &["metric", "min", "mean", "95% confidence", "p50", "p90", "p99", "max", "runs without"]);
    let mut same = Vec::new();
    for (metric, f) in METRICS.iter().zip(&part.figures) {
        if !f.varies() {
            let value = if f.n == 0 { "none".to_owned() } else { show(metric.unit, f.min) };
            same.push(format!("<code>{}</code> {}", metric.name, escape(&value)));
            continue;
        }
        let ci = interval(metric.unit, f.mean_ci);
        let value = |value: Option<f64>| number(&show(metric.unit, value));
        row(
            out,
            "",
            &[
                format!("<td><code>{}</code></td>", metric.name),
                value(f.min),
                value(f.mean),
                number(&ci),
                value(f.p50),
                value(f.p90),
                value(f.p99),
                value(f.max),
                number(&thousands(f.absent)),
            ],
        );
    }
    out.push_str("</tbody>\n</table>\n");
    if !same.is_empty() {
        out.push_str(&format!("<p class=\"absent\">The same in every run: {}.</p>\n", same.join(", ")));
    }
    out.push_str(if folded { "</details>\n" } else { "" });
    out.push_str("</section>\n");
}

fn links(out: &mut String, files: &[String]) {
    let links = files.iter().map(|file| format!("<a href=\"{0}\">{0}</a>", escape(file)));
    let links: Vec<String> = links.collect();
    out.push_str(&format!("<section>\n<h2>Files</h2>\n<p>{}</p>\n</section>\n", links.join(", ")));
}
