//! Epochs and votes: whom this sentinel votes for, and who has enough votes to lead (`sentinelVoteLeader`,
//! `sentinelGetLeader`).

use super::instances::{Flags, Id};
use super::{Cx, Ms, Sentinel};
use crate::id::HexId;
use crate::trace::Kind;
use crate::trace::event::{Detail, SentinelEvent, SentinelEventName};

/// `SENTINEL_MAX_DESYNC`, in milliseconds.
const MAX_DESYNC: u64 = 1000;

/// What the votes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tally {
    leader: HexId,
    votes: usize,
}

/// The candidate with most votes; of equals, the one that was named first.
fn count(votes: impl Iterator<Item = HexId>) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = Vec::new();
    for leader in votes {
        match tallies.iter_mut().find(|tally| tally.leader == leader) {
            Some(tally) => tally.votes += 1,
            None => tallies.push(Tally { leader, votes: 1 }),
        }
    }
    tallies
}

/// The first of those with most votes.
fn best(tallies: &[Tally]) -> Option<Tally> {
    tallies.iter().copied().reduce(|best, tally| if tally.votes > best.votes { tally } else { best })
}

/// Whether so many votes of so many voters make a leader: a majority, and the quorum.
fn wins(votes: usize, voters: usize, quorum: u32) -> bool {
    votes > voters / 2 && votes >= usize::try_from(quorum).unwrap_or(usize::MAX)
}

impl Sentinel {
    /// A random part of the failover start time, so that candidates don't stay in step.
    pub(super) fn desync(&mut self) -> Ms {
        let draw = self.desync_rng.below(MAX_DESYNC);
        Ms::try_from(draw).expect("less than a second")
    }

    /// `+new-epoch`.
    pub(super) fn new_epoch(&mut self, cx: &mut Cx<'_>, master: Id) {
        let detail = Detail::Epoch(self.epoch);
        self.say_bare(cx, SentinelEventName::NewEpoch, Some(master), detail);
    }

    /// Votes for a candidate unless a vote was given in this epoch or a later one; the vote on record is returned
    /// with its epoch. Epoch and vote are on disk before anybody hears of them.
    pub(super) fn vote(
        &mut self,
        cx: &mut Cx<'_>,
        master: Id,
        req_epoch: u64,
        candidate: HexId,
    ) -> (Option<HexId>, u64) {
        if req_epoch > self.epoch {
            self.epoch = req_epoch;
            self.flush_config(cx);
            self.new_epoch(cx, master);
        }
        let instance = self.at(master);
        if instance.leader_epoch < req_epoch && self.epoch <= req_epoch {
            let epoch = self.epoch;
            let instance = self.at_mut(master);
            instance.leader = Some(candidate);
            instance.leader_epoch = epoch;
            self.flush_config(cx);
            let detail = Detail::Vote { leader: candidate, epoch };
            self.say_bare(cx, SentinelEventName::VoteForLeader, Some(master), detail);
            if candidate != self.my_id {
                let start = cx.ms + self.desync();
                self.group_mut(master).failover_start_time = start;
            }
        }
        let instance = self.at(master);
        (instance.leader, instance.leader_epoch)
    }

    /// The vote that another sentinel asks for; that it goes to somebody else is worth
    /// a note, though not every time that the other asks.
    pub(super) fn vote_for_peer(
        &mut self,
        cx: &mut Cx<'_>,
        master: Id,
        req_epoch: u64,
        candidate: HexId,
    ) -> (Option<HexId>, u64) {
        let vote = self.vote(cx, master, req_epoch, candidate);
        if vote != (Some(candidate), req_epoch) && self.group(master).refused != (candidate, req_epoch) {
            self.group_mut(master).refused = (candidate, req_epoch);
            let why = if vote.1 >= req_epoch { "voted already" } else { "the epoch is old" };
            let ignored = SentinelEvent::VoteIgnored { candidate, epoch: req_epoch, why: why.into() };
            cx.out.note(Kind::Sentinel(ignored));
        }
        vote
    }

    /// Who leads in this epoch, if anybody; gives the own vote if it is still to be given.
    pub(super) fn leader(&mut self, cx: &mut Cx<'_>, master: Id, epoch: u64) -> Option<HexId> {
        assert!(self.at(master).flags.any(Flags::O_DOWN | Flags::FAILOVER), "votes are counted during a failover");
        let current = self.epoch;
        let group = self.group(master);
        let (voters, quorum) = (group.sentinels.len() + 1, group.quorum);
        let votes = group.sentinels.iter().filter_map(|&id| {
            let peer = self.at(id);
            peer.leader.filter(|_| peer.leader_epoch == current)
        });
        let mut tallies = count(votes);
        let before = best(&tallies);
        let (mine, my_epoch) = self.vote(cx, master, epoch, before.map_or(self.my_id, |tally| tally.leader));
        let mut winner = before;
        if let Some(mine) = mine.filter(|_| my_epoch == epoch) {
            let position = tallies.iter().position(|tally| tally.leader == mine).unwrap_or_else(|| {
                tallies.push(Tally { leader: mine, votes: 0 });
                tallies.len() - 1
            });
            tallies[position].votes += 1;
            if before.is_none_or(|before| tallies[position].votes > before.votes) {
                winner = Some(tallies[position]);
            }
        }
        winner.filter(|tally| wins(tally.votes, voters, quorum)).map(|tally| tally.leader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_and_the_quorum_are_needed() {
        for (votes, voters, quorum, expected) in [
            (1, 1, 1, true),
            (1, 2, 1, false),
            (2, 2, 1, true),
            (1, 3, 1, false),
            (2, 3, 2, true),
            (2, 3, 3, false),
            (2, 4, 2, false),
            (3, 4, 2, true),
            (3, 5, 2, true),
            (3, 5, 4, false),
            (4, 5, 4, true),
            (2, 5, 2, false),
        ] {
            assert_eq!(wins(votes, voters, quorum), expected, "{votes} of {voters}, quorum {quorum}");
        }
    }

    #[test]
    fn the_first_of_equals_is_best() {
        let id = |n: u8| HexId([n; 20]);
        for (votes, expected) in
            [(vec![], None), (vec![1], Some((1, 1))), (vec![1, 2], Some((1, 1))), (vec![1, 2, 2], Some((2, 2)))]
        {
            let tallies = count(votes.iter().map(|&n| id(n)));
            assert_eq!(best(&tallies), expected.map(|(n, votes)| Tally { leader: id(n), votes }), "{votes:?}");
        }
    }
}
