//! JUnit XML, as CI systems read it: a suite for each scenario, a case for each thing that it is asked.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::report::exam::text::changed;
use crate::report::exam::{Exam, Examined, Ran};
use crate::time::Span;

/// The document.
///
/// # Errors
/// What the writer says.
pub(super) fn document(exams: &[Exam], wall: Span) -> Result<String, String> {
    let mut report = Report::new("splitbrain");
    report.set_time(std::time::Duration::from_nanos(wall.ns()));
    for exam in exams {
        let mut suite = TestSuite::new(exam.file.clone());
        match &exam.result {
            Examined::Ran(ran) => {
                suite.add_property(("seeds", ran.seeds.as_str()));
                suite.add_test_cases(cases(ran));
            }
            Examined::Skipped => {
                let mut status = TestCaseStatus::skipped();
                status.set_message("passed before with the same splitbrain and the same scenario");
                suite.add_test_case(case(&exam.file, "all", status));
            }
            Examined::Invalid(problems) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message("not a scenario that can be run").set_description(problems.as_str());
                suite.add_test_case(case(&exam.file, "is a scenario", status));
            }
        }
        report.add_test_suite(suite);
    }
    report.to_string().map_err(|error| error.to_string())
}

fn case(class: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}

fn failure(message: &str, more: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(message);
    if !more.is_empty() {
        status.set_description(more);
    }
    status
}

fn cases(ran: &Ran) -> Vec<TestCase> {
    let mut out = Vec::new();
    let class = &*ran.name;
    let ended =
        ran.unfinished.iter().map(|run| format!("seed {}: {}\nreproduce: {}", run.seed.0, run.ended, run.command));
    let ended = ended.collect::<Vec<_>>().join("\n");
    if ran.negative {
        let fine = ran.missed() || !ran.unfinished.is_empty();
        let status = if fine { TestCaseStatus::success() } else { failure("everything that it expects holds", "") };
        out.push(case(class, "must fail", status));
    } else {
        let status =
            if ended.is_empty() { TestCaseStatus::success() } else { failure("not every run came to its end", &ended) };
        out.push(case(class, "comes to its end", status));
        for judged in &ran.expectations {
            let name = format!("{} {}", judged.expectation.key(), judged.expectation.expected());
            let command = judged.command.as_ref().map_or(String::new(), |command| format!("reproduce: {command}"));
            let status =
                if judged.passed { TestCaseStatus::success() } else { failure(&judged.complaint(ran.runs), &command) };
            out.push(case(class, &name, status));
        }
    }
    if ran.broke() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message("splitbrain broke").set_description(ended);
        out.push(case(class, "splitbrain itself", status));
    }
    for pin in &ran.pins {
        let name = format!("digest of seed {}", pin.seed.0);
        let status = if pin.held() {
            TestCaseStatus::success()
        } else {
            failure(&format!("pinned {}, now {}", pin.pinned, pin.found), &changed(pin).join("\n"))
        };
        out.push(case(class, &name, status));
    }
    out
}
