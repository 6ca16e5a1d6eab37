//! What a script was answered by the server. With it the script can be run again to where it stood: an interpreter can't be
//! cloned, nor stopped and taken up again, so whatever goes on later begins from the start and is told the same.

use bytes::BytesMut;

use super::Answer;

/// Answers of more bytes than this are not kept.
const MOST: usize = 64 << 20;
/// Kind, how many times in a row, and length come before the bytes of each.
const HEAD: usize = 9;

/// What an answer is.
const REPLY: u8 = 0;
const REFUSED: u8 = 1;
const ALLOWED: u8 = 2;

/// Answers in their order. The same one several times in a row takes the place of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    bytes: Vec<u8>,
    /// Where the last one begins.
    last: usize,
    /// How many there were.
    total: u64,
    /// There were too many: none is kept any more.
    full: bool,
}

impl Answers {
    /// Forgets all, but not the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        (self.last, self.total, self.full) = (0, 0, false);
    }

    /// A script can't be run again with these.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// How often the last one came in a row.
    #[must_use]
    pub(crate) fn in_a_row(&self) -> u64 {
        self.at(self.last).map_or(0, |(_, count, _)| u64::from(count))
    }

    /// Bytes that they take.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The same, in no more memory than they need.
    #[must_use]
    pub(crate) fn copy(&self) -> Answers {
        let mut copy = self.clone();
        copy.bytes.shrink_to_fit();
        copy
    }

    /// A command was called.
    pub(crate) fn push(&mut self, answer: &Answer) {
        match answer {
            Answer::Reply(reply) => self.add(REPLY, reply),
            Answer::Refused(text) => self.add(REFUSED, text.as_bytes()),
            Answer::Stop => {}
        }
    }

    /// It was asked whether a command may be called.
    pub(crate) fn push_allowed(&mut self, allowed: Option<bool>) {
        self.add(ALLOWED, allowed.map_or(b"-", |allowed| if allowed { b"1" } else { b"0" }));
    }

    fn add(&mut self, kind: u8, text: &[u8]) {
        if self.full {
            return;
        }
        self.total += 1;
        if let Some((last, count, same)) = self.at(self.last).filter(|_| !self.bytes.is_empty())
            && (last, same) == (kind, text)
            && count < u32::MAX
        {
            self.bytes[self.last + 1..self.last + 5].copy_from_slice(&(count + 1).to_le_bytes());
            return;
        }
        let Some(len) = u32::try_from(text.len()).ok().filter(|_| self.bytes.len() + text.len() < MOST) else {
            self.full = true;
            self.bytes = Vec::new();
            return;
        };
        self.last = self.bytes.len();
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&1_u32.to_le_bytes());
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(text);
    }

    /// Kind, repetitions and bytes of the one that begins there.
    fn at(&self, at: usize) -> Option<(u8, u32, &[u8])> {
        let (head, rest) = self.bytes.get(at..)?.split_at_checked(HEAD)?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        Some((head[0], number(1), &rest[..number(5) as usize]))
    }
}

/// How far a script that is run again has been told what it was told before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    at: usize,
    used: u32,
    left: u64,
}

impl Cursor {
    /// From the first of these to what is now the last.
    #[must_use]
    pub(crate) fn new(answers: &Answers) -> Cursor {
        Cursor { at: 0, used: 0, left: if answers.full { 0 } else { answers.total } }
    }

    fn next<'a>(&mut self, answers: &'a Answers) -> Option<(u8, &'a [u8])> {
        self.left = self.left.checked_sub(1)?;
        let (kind, count, text) = answers.at(self.at).expect("so many are there");
        self.used += 1;
        if self.used == count {
            (self.at, self.used) = (self.at + HEAD + text.len(), 0);
        }
        Some((kind, text))
    }

    /// What the next call was answered.
    pub(crate) fn answer(&mut self, answers: &Answers) -> Option<Answer> {
        let (kind, text) = self.next(answers)?;
        Some(match kind {
            REPLY => Answer::Reply(BytesMut::from(text)),
            _ => Answer::Refused(String::from_utf8_lossy(text).into_owned()),
        })
    }

    /// Whether the next command might be called.
    pub(crate) fn allowed(&mut self, answers: &Answers) -> Option<Option<bool>> {
        let (_, text) = self.next(answers)?;
        Some(match text {
            b"-" => None,
            text => Some(text == b"1"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Answer {
        Answer::Reply(BytesMut::from(text.as_bytes()))
    }

    #[test]
    fn answers_come_again_in_their_order() {
        let mut answers = Answers::default();
        for answer in [reply("+OK\r\n"), reply("+OK\r\n"), Answer::Refused("no".into()), reply("+OK\r\n")] {
            answers.push(&answer);
        }
        answers.push_allowed(None);
        answers.push_allowed(Some(true));
        let mut cursor = Cursor::new(&answers);
        // What is added later is not part of it.
        answers.push_allowed(Some(true));
        let mut told = Vec::new();
        for _ in 0..4 {
            match cursor.answer(&answers) {
                Some(Answer::Reply(text)) => told.push(String::from_utf8_lossy(&text).into_owned()),
                Some(Answer::Refused(text)) => told.push(text),
                Some(Answer::Stop) | None => told.push("nothing".to_owned()),
            }
        }
        assert_eq!(told, ["+OK\r\n", "+OK\r\n", "no", "+OK\r\n"]);
        assert_eq!(cursor.allowed(&answers), Some(None));
        assert_eq!(cursor.allowed(&answers), Some(Some(true)));
        assert_eq!(cursor.allowed(&answers), None);
    }

    #[test]
    fn many_that_are_the_same_take_the_place_of_one() {
        let mut answers = Answers::default();
        for _ in 0..1_000_000 {
            answers.push(&reply("+PONG\r\n"));
        }
        assert_eq!(answers.len(), HEAD + 7);
        assert_eq!(answers.in_a_row(), 1_000_000);
        let long = "x".repeat(1 << 20);
        for n in 0..100 {
            answers.push(&reply(&format!("{n}{long}")));
        }
        assert!(answers.is_full());
        assert!(Cursor::new(&answers).answer(&answers).is_none());
    }
}
