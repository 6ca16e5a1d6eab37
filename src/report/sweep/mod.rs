//! From the rows of a sweep to what people read: figures, groups of failures, text, charts, a page.

pub mod charts;
pub mod json;
pub mod judge;
pub mod page;
pub mod plan;
pub mod record;
pub mod tally;
pub mod text;

pub use plan::{Axis, Plan, Shard, Variant};
pub use record::Record;

use crate::check::Expectation;
use crate::trace::Fingerprint;
use judge::{Figures, Judged};
use tally::{RowsDigest, Tally};

/// So many variants keep their whole distributions, for charts; of more, only figures are kept.
const WHOLE_MAX: usize = 16;

/// Collects rows in order and forgets them.
#[derive(Debug)]
pub struct Collector {
    plan: Plan,
    expect: Vec<Vec<Expectation>>,
    digest: RowsDigest,
    current: usize,
    tally: Tally,
    done: Vec<Part>,
}

/// One variant, finished.
#[derive(Clone, Debug)]
pub struct Part {
    /// What its runs come to; without distributions when there are many variants.
    pub tally: Tally,
    /// Each metric's figures, in the order of the metrics.
    pub figures: Vec<Figures>,
    /// Its expectations, judged.
    pub expect: Vec<Judged>,
}

/// A whole sweep, or a shard of it.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What it is about.
    pub plan: Plan,
    /// The variants, in order; those without a run are missing at the end.
    pub parts: Vec<Part>,
    /// The fingerprint of all rows.
    pub digest: Fingerprint,
}

impl Collector {
    /// For the rows of a plan.
    ///
    /// # Errors
    /// What is wrong with the plan's expectations.
    pub fn new(plan: Plan) -> Result<Collector, String> {
        let expect = (0..plan.variants.len()).map(|at| plan.expectations(at)).collect::<Result<Vec<_>, _>>()?;
        let (digest, tally) = (RowsDigest::default(), Tally::default());
        Ok(Collector { plan, expect, digest, current: 0, tally, done: Vec::new() })
    }

    /// The expectations of each variant.
    #[must_use]
    pub fn expectations(&self) -> &[Vec<Expectation>] {
        &self.expect
    }

    /// Takes the next row: variants come one after the other.
    ///
    /// # Panics
    /// When a row of an earlier variant comes after one of a later.
    pub fn add(&mut self, record: &Record) {
        assert!(record.variant >= self.current, "rows come in order of their variants");
        while self.current < record.variant {
            self.close();
        }
        self.digest.add(record);
        self.tally.add(record);
    }

    fn close(&mut self) {
        let mut tally = std::mem::take(&mut self.tally);
        tally.metrics.resize_with(crate::check::METRICS.len(), tally::Spread::default);
        let figures = judge::figures(&tally);
        let expect = self.expect.get(self.current).map_or(Vec::new(), |expect| judge::judge(expect, &tally));
        if self.plan.variants.len() > WHOLE_MAX {
            tally.metrics.iter_mut().for_each(|spread| spread.values = crate::stats::Distribution::default());
        }
        self.done.push(Part { tally, figures, expect });
        self.current += 1;
    }

    /// The end.
    #[must_use]
    pub fn finish(mut self) -> Sweep {
        while self.current < self.plan.variants.len() {
            self.close();
        }
        Sweep { plan: self.plan, parts: self.done, digest: self.digest.fingerprint() }
    }
}

impl Sweep {
    /// Whether anything failed: a run, or an expectation on a distribution.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.parts.iter().any(|part| part.failed())
    }

    /// All runs, and those that passed.
    #[must_use]
    pub fn passed(&self) -> crate::stats::Proportion {
        let mut all = crate::stats::Proportion::default();
        for part in &self.parts {
            all.hits += part.tally.passed.hits;
            all.of += part.tally.passed.of;
        }
        all
    }

    /// The files of its folder, beside the rows: names and contents. Nothing in them depends on the machine, on the number of threads or
    /// on how the runs were shared out.
    #[must_use]
    pub fn files(&self, rows: &[&str]) -> Vec<(String, Vec<u8>)> {
        let charts = charts::all(self);
        let mut summary = serde_json::to_vec_pretty(&json::object(self, &charts)).expect("plain data is JSON");
        summary.push(b'\n');
        let mut files = vec![("summary.json".to_owned(), summary)];
        let drawn: Vec<crate::report::chart::Chart> = charts.iter().map(charts::Drawing::chart).collect();
        for chart in &drawn {
            files.push((format!("{}.svg", chart.name), chart.svg().into_bytes()));
            files.push((format!("{}.png", chart.name), chart.png()));
        }
        let names: Vec<String> =
            rows.iter().map(|name| (*name).to_owned()).chain(files.iter().map(|f| f.0.clone())).collect();
        files.insert(0, ("index.html".to_owned(), page::page(self, &drawn, &names).into_bytes()));
        files
    }
}

impl Part {
    /// Whether a run failed, or an expectation on a distribution.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.tally.passed.hits < self.tally.passed.of || self.expect.iter().any(|judged| !judged.passed)
    }
}
