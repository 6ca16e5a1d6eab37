//! How patient a client is, and what it makes of a server's refusal.

use super::config::{Policy, Via};
use crate::rng::Rng;
use crate::time::Span;
use crate::trace::event::Refusal;

/// Whatever the settings say, nothing that failed is tried again sooner: where failing takes no time, trying again
/// without a pause would never leave the instant.
pub(crate) const PAUSE_MIN: Span = Span::from_ms(1);

/// What an error reply means, by its first word.
#[must_use]
pub(crate) fn refusal(message: &[u8]) -> Refusal {
    let word = message.split(|&byte| byte == b' ').next().unwrap_or_default();
    match word {
        b"READONLY" => Refusal::Readonly,
        b"NOREPLICAS" => Refusal::NoReplicas,
        b"MASTERDOWN" => Refusal::MasterDown,
        b"LOADING" => Refusal::Loading,
        b"BUSY" => Refusal::Busy,
        b"OOM" => Refusal::Oom,
        b"MISCONF" => Refusal::Misconf,
        b"NOAUTH" | b"WRONGPASS" | b"NOPERM" => Refusal::Denied,
        _ => Refusal::Other,
    }
}

/// What happens to the connection after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// It stays in use.
    Keep,
    /// It is closed and the server looked for again: this one can't be the right one.
    Rediscover,
}

/// The connection's fate after `refusal`. A client with one fixed address has nowhere else to go, so it stays.
#[must_use]
pub(crate) fn reaction(refusal: Refusal, via: &Via, policy: &Policy) -> Reaction {
    let wrong_server = match refusal {
        // A replica answered. One that was asked for is right to refuse writes.
        Refusal::Readonly => policy.reconnect_on_readonly && !matches!(via, Via::Replicas { .. }),
        // A replica that lost its master and has replica-serve-stale-data no.
        Refusal::MasterDown => true,
        Refusal::NoReplicas
        | Refusal::Loading
        | Refusal::Busy
        | Refusal::Oom
        | Refusal::Misconf
        | Refusal::Denied
        | Refusal::Other
        | Refusal::NotSent => false,
    };
    if wrong_server && !matches!(via, Via::Direct(_)) { Reaction::Rediscover } else { Reaction::Keep }
}

/// The delay before the next attempt after `failures` failed ones in a row: doubling up to the ceiling, part of it random.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "one product of a positive span and a share below one: exact enough, and the same on every platform"
)]
pub(crate) fn delay(policy: &Policy, failures: u32, rng: &mut Rng) -> Span {
    let doubled = policy.retry_delay.times(1u64.checked_shl(failures.min(32)).unwrap_or(u64::MAX));
    let whole = doubled.min(policy.retry_delay_max);
    if policy.retry_jitter.is_zero() {
        return whole.max(PAUSE_MIN);
    }
    let random = Span((whole.0 as f64 * policy.retry_jitter.as_f64()) as u64);
    (whole.saturating_sub(random) + Span(rng.below(random.0.saturating_add(1)))).max(PAUSE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Addr, Ip};
    use crate::rng::{Ratio, Seed};

    #[test]
    fn delays_double_up_to_the_ceiling() {
        let mut policy = Policy::default();
        let mut rng = Seed(1).stream("c", "retry");
        let delays: Vec<u64> = (0..7).map(|n| delay(&policy, n, &mut rng).ms()).collect();
        assert_eq!(delays, [50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(delay(&policy, u32::MAX, &mut rng), policy.retry_delay_max);

        let hasty = Policy { retry_delay: Span::ZERO, ..Policy::default() };
        assert_eq!(delay(&hasty, 3, &mut rng), PAUSE_MIN);

        policy.retry_jitter = Ratio::from_f64(0.5).expect("in range");
        let jittered: Vec<u64> = (0..100).map(|_| delay(&policy, 1, &mut rng).us()).collect();
        assert!(jittered.iter().all(|us| (50_000..=100_000).contains(us)), "{jittered:?}");
        assert!(jittered.iter().any(|us| *us < 65_000) && jittered.iter().any(|us| *us > 85_000), "{jittered:?}");
    }

    #[test]
    fn errors_are_known_by_their_first_word() {
        for (message, expected) in [
            ("READONLY You can't write against a read only replica.", Refusal::Readonly),
            ("NOREPLICAS Not enough good replicas to write.", Refusal::NoReplicas),
            ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Refusal::MasterDown),
            ("LOADING Redis is loading the dataset in memory", Refusal::Loading),
            ("BUSY Redis is busy running a script.", Refusal::Busy),
            ("OOM command not allowed when used memory > 'maxmemory'.", Refusal::Oom),
            ("MISCONF Redis is configured to save RDB snapshots", Refusal::Misconf),
            ("NOAUTH Authentication required.", Refusal::Denied),
            ("WRONGPASS invalid username-password pair or user is disabled.", Refusal::Denied),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", Refusal::Other),
            ("ERR syntax error", Refusal::Other),
            ("", Refusal::Other),
        ] {
            assert_eq!(refusal(message.as_bytes()), expected, "{message}");
        }
    }

    #[test]
    fn only_a_client_that_can_look_elsewhere_leaves() {
        let addr = Addr::new(Ip::new(10, 0, 0, 1), 6379);
        let direct = Via::Direct(addr);
        let servers = Via::Servers(vec![addr]);
        let sentinel = Via::Sentinel { master: "m".into(), sentinels: vec![addr] };
        let replicas = Via::Replicas { master: "m".into(), sentinels: vec![addr] };
        let (keep, leave) = (Reaction::Keep, Reaction::Rediscover);
        for (what, expected) in [
            (Refusal::Readonly, [keep, leave, leave, keep]),
            (Refusal::MasterDown, [keep, leave, leave, leave]),
            (Refusal::Loading, [keep; 4]),
            (Refusal::NoReplicas, [keep; 4]),
            (Refusal::Other, [keep; 4]),
        ] {
            let all = [&direct, &servers, &sentinel, &replicas].map(|via| reaction(what, via, &Policy::default()));
            assert_eq!(all, expected, "{what:?}");
        }
        let stubborn = Policy { reconnect_on_readonly: false, ..Policy::default() };
        assert_eq!(reaction(Refusal::Readonly, &sentinel, &stubborn), keep);
    }
}
