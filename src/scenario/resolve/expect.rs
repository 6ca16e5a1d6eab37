//! `[expect]`: each comparison is read by `check`, its complaints are put at the places they are about.

use super::super::raw::LooseItem;
use super::Resolver;
use crate::check::{Expectation, Given};

impl Resolver<'_> {
    pub(super) fn build_expectations(&mut self) -> Vec<Expectation> {
        let mut out = Vec::new();
        for (name, wanted) in &self.file.expect.clone().0 {
            for item in &wanted.0 {
                let given = match &item.value {
                    LooseItem::Bool(value) => Given::Bool(*value),
                    LooseItem::Int(number) => Given::Integer(i64::try_from(*number).unwrap_or(i64::MAX)),
                    LooseItem::Float(number) => Given::Float(*number),
                    LooseItem::Text(text) => Given::Text(text),
                };
                match Expectation::parse(name, given) {
                    Ok(expectation) => out.push(expectation),
                    Err(complaint) => {
                        let place = if complaint.about_name { name.place } else { item.place };
                        self.problems.error(place, complaint.message).help(complaint.help);
                    }
                }
            }
        }
        out
    }
}
