//! What a file means, and what is said about one that means nothing.

use super::*;
use crate::conf::parse;
use proptest::prelude::*;

const ID: &str = "bc33c9fa32e4256914b1ce1f4ed17a286fcd0e84";

fn read(text: &str) -> Result<(Config, Vec<ConfWarning>), Vec<ConfError>> {
    Config::from_directives(&parse(text.as_bytes()).expect("quotes are balanced"))
}

#[test]
fn statements_apply_in_three_queues() {
    let text = format!(
        "sentinel down-after-milliseconds m 5000\nport 26380\nsentinel known-replica m 10.0.0.2 6379\n\
         sentinel config-epoch m 7\nsentinel monitor m h1 6379 2\nsentinel myid {ID}\nsentinel resolve-hostnames yes\n\
         sentinel known-sentinel m 10.0.0.9 26379 {ID}\nsentinel rename-command m CONFIG guess\n"
    );
    let (config, warnings) = read(&text).expect("valid");
    assert_eq!(warnings, []);
    let master = &config.masters[0];
    assert_eq!((config.port, config.current_epoch, config.resolve_hostnames), (26_380, 7, true));
    assert_eq!((master.down_after, master.quorum, &*master.host), (5000, 2, "h1"));
    assert_eq!(master.replicas, [("10.0.0.2".into(), 6379)]);
    assert_eq!(master.sentinels.len(), 1);
    assert_eq!(master.renamed_commands, [("CONFIG".into(), "guess".into())]);
}

#[test]
fn errors_have_sentinels_words() {
    let monitor = "sentinel monitor m 10.0.0.1 6379 2\n";
    for (text, message) in [
        ("sentinel monitor m 10.0.0.1 6379 0", "Quorum must be 1 or greater."),
        ("sentinel monitor m 10.0.0.1 6379 2\nsentinel monitor m 10.0.0.2 6379 2", "Duplicate master name."),
        ("sentinel monitor m nohost 6379 2", "Can't resolve instance hostname."),
        ("sentinel monitor m 10.0.0.1 70000 2", "Invalid port number."),
        ("sentinel monitor m 10.0.0.1 6379", "Unrecognized sentinel configuration statement."),
        ("sentinel down-after-milliseconds x 1", "No such master with specified name."),
        ("sentinel myid 123", "Malformed Sentinel id in myid option."),
        ("sentinel deny-scripts-reconfig maybe", "Please specify yes or no for the deny-scripts-reconfig options."),
        ("sentinel frobnicate m 1", "Unrecognized sentinel configuration statement."),
        ("prot 1", "Bad directive or wrong number of arguments"),
        ("port", "wrong number of arguments"),
    ] {
        let errors = read(text).expect_err(text);
        assert_eq!(errors[0].message, message, "{text}");
    }
    for (text, message) in [
        ("sentinel down-after-milliseconds m 0", "negative or zero time parameter."),
        ("sentinel down-after-milliseconds m", "Unrecognized sentinel configuration statement."),
        ("sentinel down-after-milliseconds m 1 2", "Unrecognized sentinel configuration statement."),
        ("sentinel master-reboot-down-after-period m -1", "negative time parameter."),
        (
            "sentinel known-replica m 10.0.0.2 1\nsentinel known-slave m 10.0.0.2 1",
            "Duplicate hostname and port for replica.",
        ),
        (
            "sentinel rename-command m a b\nsentinel rename-command m A c",
            "Same command renamed multiple times with rename-command.",
        ),
    ] {
        let errors = read(&format!("{monitor}{text}")).expect_err(text);
        assert_eq!(errors[0].message, message, "{text}");
        assert!(errors[0].line >= 2, "{text}");
    }
}

#[test]
fn mistakes_come_with_advice() {
    let errors = read("sentinel monitro m 10.0.0.1 6379 2\nsentinel parallel-syncs m").expect_err("wrong");
    assert_eq!(errors[0].help.as_deref(), Some("did you mean \"sentinel monitor\"?"));
    assert_eq!(errors[1].help.as_deref(), Some("it is written \"sentinel parallel-syncs <name> <number>\""));
    let (_, warnings) = read("maxclients 5\nloglevel debug\nuser bob on").expect("accepted");
    let named: Vec<&str> = warnings.iter().map(|warning| warning.directive.as_str()).collect();
    assert_eq!(named, ["maxclients", "user"]);
}

proptest! {
    /// Whatever the file holds, reading it is an error at worst.
    #[test]
    fn garbage_never_panics(text in "(sentinel )?[a-z-]{0,24}( [ -~]{0,12}){0,6}\n(sentinel [ -~]{0,40}\n){0,4}") {
        if let Ok(directives) = parse(text.as_bytes()) {
            let _ = Config::from_directives(&directives);
        }
    }
}
