//! The shared replication buffer: blocks of stream that the backlog and every replica's cursor refer to.
//!
//! What a window of "1 MB" really holds depends on the size of blocks, on when they are dropped, and on which of
//! them a lagging replica still needs; this file keeps Redis's granularity in all three.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::server::keyspace::radix;

/// The least that is requested for a block (`PROTO_REPLY_CHUNK_BYTES`).
const CHUNK: u64 = 16 * 1024;
/// What a block carries besides the stream: `sizeof(replBufBlock)`.
const BLOCK_HEADER: u64 = 40;
/// `sizeof(listNode)`.
const LIST_NODE: u64 = 24;
/// The smallest `repl-backlog-size` (`CONFIG_REPL_BACKLOG_MIN_SIZE`).
pub const SIZE_MIN: u64 = 16 * 1024;
/// Blocks dropped by one call at most (`REPL_BACKLOG_TRIM_BLOCKS_PER_CALL`).
pub const TRIM_BLOCKS: usize = 64;
/// Every so many blocks one is in the index (`REPL_BACKLOG_INDEX_PER_BLOCKS`).
const INDEXED: u64 = 64;
/// What a node of the index takes, and what it refers to (`raxNode`).
const INDEX_NODE: u64 = 4;
const POINTER: u64 = 8;
/// A full block of more pieces than this becomes one piece.
const PIECES_MAX: usize = 8;
/// The first piece of a block has room for this much; the next ones double.
const PIECE_MIN: usize = 512;

/// Where a reader of the stream stands: a block, and a position within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    block: u64,
    position: u64,
}

/// What feeding did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed {
    /// Where the new bytes begin.
    pub start: Cursor,
    /// Whether a block was started: when output buffer limits are looked at.
    pub new_block: bool,
}

/// One block of the stream.
#[derive(Clone, Debug)]
struct Block {
    /// The stream offset of its first byte, counted from 1.
    first: u64,
    /// Bytes of stream it can hold.
    capacity: u64,
    /// Bytes of stream it holds.
    used: u64,
    /// Cursors that begin here, the backlog's own included.
    refs: u32,
    /// What it holds, in order, without what is in `tail`.
    pieces: Vec<Bytes>,
    /// The newest bytes, not yet shared with anyone.
    tail: BytesMut,
}

/// The replication buffer and the backlog's window over it.
///
/// It exists together with the backlog: without one nothing is fed, and freeing it needs that no replica is left.
#[derive(Clone, Debug)]
pub struct Backlog {
    /// `repl-backlog-size`.
    size: u64,
    /// Bytes in the window (`repl_backlog_histlen`).
    len: u64,
    /// Offset of the window's first byte (`repl_backlog_first_byte_offset`).
    first: u64,
    blocks: VecDeque<Block>,
    /// The number of the oldest block; numbers never repeat.
    first_block: u64,
    /// The number of the block from which on those for the index are counted.
    counted_from: u64,
    /// Memory of all blocks.
    memory: u64,
    /// Whether the backlog refers to the oldest block; it does as soon as there is one.
    refers: bool,
}

impl Backlog {
    /// `createReplicationBacklog`: empty, and its first byte is the next one of the stream.
    #[must_use]
    pub fn new(size: u64, master_offset: u64) -> Backlog {
        Backlog {
            size: size.max(SIZE_MIN),
            len: 0,
            first: master_offset + 1,
            blocks: VecDeque::new(),
            first_block: 0,
            counted_from: 0,
            memory: 0,
            refers: false,
        }
    }

    /// Offset of the first byte it has.
    #[must_use]
    pub fn first_byte(&self) -> u64 {
        self.first
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True before the first byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The stream's offset after its last byte: `master_repl_offset`.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.len - 1
    }

    /// Memory of all blocks (`repl_buffer_mem`).
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// What the index of blocks takes, as INFO tells it.
    #[must_use]
    pub fn index_memory(&self) -> u64 {
        let number = |at: usize| self.first_block + at as u64 - self.counted_from + 1;
        let indexed = self.blocks.iter().enumerate().filter(|(at, _)| number(*at).is_multiple_of(INDEXED));
        let keys: Vec<[u8; 8]> = indexed.map(|(_, block)| block.first.to_be_bytes()).collect();
        radix::nodes(&keys) * INDEX_NODE + keys.len() as u64 * POINTER
    }

    /// `resizeReplicationBacklog`.
    pub fn resize(&mut self, size: u64) {
        self.size = size.max(SIZE_MIN);
        self.trim(TRIM_BLOCKS);
    }

    /// `rebaseReplicationBuffer`: the stream so far turns out to continue another one that was `by` bytes long.
    pub fn rebase(&mut self, by: u64) {
        self.first += by;
        self.counted_from = self.first_block;
        for block in &mut self.blocks {
            block.first += by;
        }
    }

    /// `feedReplicationBuffer`: appends one piece of the stream. `joining` replicas have no cursor yet; theirs becomes
    /// the start that is returned (the references are already counted).
    ///
    /// Whether a piece is a whole command or a part of one matters only when it is longer than [`CHUNK`]: then it
    /// decides the size of the block that it starts.
    pub fn feed(&mut self, mut data: &[u8], joining: u32) -> Option<Fed> {
        let mut fed: Option<Fed> = None;
        while !data.is_empty() {
            let mut start = None;
            if let Some(tail) = self.blocks.back_mut().filter(|block| block.used < block.capacity) {
                start = Some(tail.used);
                let taken = tail.append(data);
                data = &data[taken..];
                self.len += taken as u64;
            }
            let in_tail = start.map(|position| Cursor { block: self.last_block(), position });
            let grows = !data.is_empty();
            if grows {
                let taken = self.start_block(data);
                data = &data[taken..];
                self.len += taken as u64;
            }
            let cursor = in_tail.unwrap_or(Cursor { block: self.last_block(), position: 0 });
            match &mut fed {
                Some(fed) => fed.new_block |= grows,
                None => {
                    self.block_mut(cursor.block).refs += joining;
                    fed = Some(Fed { start: cursor, new_block: grows });
                }
            }
            if !self.refers {
                assert!(grows && self.blocks.len() == 1, "the backlog begins with the first block");
                self.blocks[0].refs += 1;
                self.refers = true;
            }
            if grows {
                self.trim(TRIM_BLOCKS);
            }
        }
        fed
    }

    /// `incrementalTrimReplicationBacklog`: drops old blocks while what remains is still more than the size, and nobody
    /// but the backlog refers to them.
    pub fn trim(&mut self, blocks_max: usize) {
        for _ in 0..blocks_max {
            if self.len <= self.size || self.blocks.len() <= 1 {
                return;
            }
            let oldest = &self.blocks[0];
            if oldest.refs != 1 || self.len - oldest.capacity <= self.size {
                return;
            }
            assert!(oldest.used == oldest.capacity, "only the newest block has room");
            self.len -= oldest.capacity;
            self.first += oldest.capacity;
            self.memory -= oldest.memory();
            self.blocks.pop_front();
            self.first_block += 1;
            self.blocks[0].refs += 1;
        }
    }

    /// Whether a PSYNC that asks for this offset can be continued from the window.
    #[must_use]
    pub fn covers(&self, offset: u64) -> bool {
        offset >= self.first && offset <= self.first + self.len
    }

    /// `addReplyReplicationBacklog`: a cursor that begins at `offset`, and how many bytes follow it. No cursor while
    /// there is nothing at all: the replica joins at the next byte.
    ///
    /// # Panics
    /// When the window doesn't cover the offset.
    pub fn attach(&mut self, offset: u64) -> (Option<Cursor>, u64) {
        assert!(self.covers(offset), "offset {offset} is outside of the backlog");
        if self.len == 0 {
            return (None, 0);
        }
        let index = self.blocks.partition_point(|block| block.first + block.used < offset);
        let block = &mut self.blocks[index];
        block.refs += 1;
        let cursor = Cursor { block: self.first_block + index as u64, position: offset - block.first };
        (Some(cursor), self.first + self.len - offset)
    }

    /// `copyReplicaOutputBuffer`: another reader at the same place.
    pub fn share(&mut self, cursor: Cursor) -> Cursor {
        self.block_mut(cursor.block).refs += 1;
        cursor
    }

    /// `freeReplicaReferencedReplBuffer`: a reader is gone.
    pub fn release(&mut self, cursor: Cursor) {
        let block = self.block_mut(cursor.block);
        assert!(block.refs > 0, "a cursor holds its block");
        block.refs -= 1;
        self.trim(TRIM_BLOCKS);
    }

    /// Whether there is anything behind the cursor that it hasn't read (`clientHasPendingReplies` of a replica).
    #[must_use]
    pub fn has_unread(&self, cursor: Cursor) -> bool {
        cursor.block != self.last_block() || self.blocks.back().is_some_and(|block| cursor.position < block.used)
    }

    /// Bytes behind the cursor.
    #[must_use]
    pub fn unread(&self, cursor: Cursor) -> u64 {
        let block = &self.blocks[self.index(cursor.block)];
        self.end() + 1 - (block.first + cursor.position)
    }

    /// The unread rest of the cursor's block, at most `room` bytes: what one `write` sends.
    pub fn peek(&mut self, cursor: Cursor, room: usize) -> Bytes {
        let index = self.index(cursor.block);
        self.blocks[index].slice(cursor.position, room)
    }

    /// The reader has read `count` bytes of its block; at its end it goes on to the next (`_writeToClient`).
    pub fn advance(&mut self, cursor: &mut Cursor, count: usize) {
        cursor.position += count as u64;
        let index = self.index(cursor.block);
        let used = self.blocks[index].used;
        assert!(cursor.position <= used, "read past the end of a block");
        if cursor.position == used && index + 1 < self.blocks.len() {
            self.blocks[index].refs -= 1;
            self.blocks[index + 1].refs += 1;
            *cursor = Cursor { block: cursor.block + 1, position: 0 };
            self.trim(TRIM_BLOCKS);
        }
    }

    /// What a reader keeps in memory, as output buffer limits see it (`getClientOutputBufferMemoryUsage`): whole
    /// blocks from its own to the newest.
    #[must_use]
    pub fn pinned(&self, cursor: Cursor) -> u64 {
        let (Some(last), own) = (self.blocks.back(), self.index(cursor.block)) else { return 0 };
        let blocks = self.blocks_from(cursor);
        last.first + last.capacity - self.blocks[own].first + blocks * (BLOCK_HEADER + LIST_NODE)
    }

    /// How many blocks these are.
    #[must_use]
    pub fn blocks_from(&self, cursor: Cursor) -> u64 {
        (self.blocks.len() - self.index(cursor.block)) as u64
    }

    /// Checks what must always hold.
    pub fn invariants(&self, cursors: u32) {
        assert!(self.refers != self.blocks.is_empty(), "the backlog refers to the first block");
        let refs: u32 = self.blocks.iter().map(|block| block.refs).sum();
        assert!(refs == cursors + u32::from(self.refers), "every reference belongs to a cursor");
        assert_eq!(self.memory, self.blocks.iter().map(Block::memory).sum::<u64>(), "memory is that of the blocks");
        assert!(self.blocks.front().is_none_or(|block| block.first == self.first && block.refs > 0));
    }

    fn last_block(&self) -> u64 {
        self.first_block + self.blocks.len() as u64 - 1
    }

    fn index(&self, block: u64) -> usize {
        usize::try_from(block - self.first_block).expect("fewer blocks than memory has bytes")
    }

    fn block_mut(&mut self, block: u64) -> &mut Block {
        let index = self.index(block);
        &mut self.blocks[index]
    }

    /// Starts a block for `data` and puts in what fits.
    fn start_block(&mut self, data: &[u8]) -> usize {
        if let Some(full) = self.blocks.back_mut() {
            full.compact();
        }
        let limit = (self.size / 16).max(CHUNK);
        let request = (data.len() as u64).max(CHUNK).min(limit);
        let mut block = Block {
            first: self.first + self.len,
            capacity: allocated(request + BLOCK_HEADER) - BLOCK_HEADER,
            used: 0,
            refs: 0,
            pieces: Vec::new(),
            tail: BytesMut::new(),
        };
        let taken = block.append(data);
        self.memory += block.memory();
        self.blocks.push_back(block);
        taken
    }
}

impl Block {
    fn memory(&self) -> u64 {
        self.capacity + BLOCK_HEADER + LIST_NODE
    }

    /// Copies in what fits and says how much that was.
    fn append(&mut self, data: &[u8]) -> usize {
        let room = usize::try_from(self.capacity - self.used).unwrap_or(usize::MAX);
        let taken = data.len().min(room);
        if self.tail.capacity() - self.tail.len() < taken {
            self.seal();
            let doubled = usize::try_from(self.used).unwrap_or(usize::MAX).max(PIECE_MIN);
            self.tail = BytesMut::with_capacity(taken.max(doubled).min(room));
        }
        self.tail.extend_from_slice(&data[..taken]);
        self.used += taken as u64;
        taken
    }

    /// Makes the newest bytes shareable.
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push(self.tail.split().freeze());
        }
    }

    /// Many small pieces become one.
    fn compact(&mut self) {
        self.seal();
        self.tail = BytesMut::new();
        if self.pieces.len() > PIECES_MAX {
            self.pieces = vec![self.pieces.concat().into()];
        }
    }

    /// Bytes from `position` on, at most `room`.
    fn slice(&mut self, position: u64, room: usize) -> Bytes {
        self.seal();
        let unread = usize::try_from(self.used - position).unwrap_or(usize::MAX);
        let wanted = unread.min(room);
        // A reader that keeps up is at the start of the last piece or near it: search from the end.
        let mut skip = unread;
        let mut from = self.pieces.len();
        while from > 0 && skip > 0 {
            from -= 1;
            skip = skip.saturating_sub(self.pieces[from].len());
        }
        let behind: usize = self.pieces[from..].iter().map(Bytes::len).sum();
        let start = behind - unread;
        match &self.pieces[from..] {
            [] => Bytes::new(),
            [piece, ..] if start + wanted <= piece.len() => piece.slice(start..start + wanted),
            pieces => {
                let mut joined = BytesMut::with_capacity(wanted);
                let mut start = start;
                for piece in pieces {
                    let take = (piece.len() - start).min(wanted - joined.len());
                    joined.extend_from_slice(&piece[start..start + take]);
                    start = 0;
                }
                joined.freeze()
            }
        }
    }
}

/// What jemalloc hands out for a request of more than 16 KB: four size classes for each doubling.
fn allocated(request: u64) -> u64 {
    let step = 1u64 << (request - 1).ilog2().saturating_sub(2);
    request.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    /// One row of a recorded sweep: `bytes` were written while the replica was away at `replica_offset`.
    #[derive(Deserialize)]
    struct Row {
        replica_offset: u64,
        master_offset: u64,
        first_byte_offset: u64,
        histlen: u64,
        full: u32,
    }

    #[derive(Deserialize)]
    struct Sweep {
        backlog: u64,
        unit: u64,
        rows: Vec<Row>,
    }

    /// The recorded servers' partial-or-full answers and windows, row by row.
    #[test]
    fn granularity_is_the_recorded_one() {
        let sweeps: Vec<Sweep> =
            serde_json::from_str(include_str!("../../../tests/data/backlog_sweeps.json")).expect("the data is valid");
        for sweep in sweeps {
            let mut backlog = Backlog::new(sweep.backlog, 0);
            let mut cursor: Option<Cursor> = None;
            let filler = vec![b'x'; 4096];
            let write_up_to = |backlog: &mut Backlog, cursor: &mut Option<Cursor>, offset: u64, unit: u64| {
                while backlog.end() < offset {
                    let len = unit.min(offset - backlog.end());
                    let len = usize::try_from(len).expect("lengths are small");
                    backlog.feed(&filler[..len], 0);
                    if let Some(cursor) = cursor {
                        while backlog.has_unread(*cursor) {
                            let sent = backlog.peek(*cursor, usize::MAX).len();
                            backlog.advance(cursor, sent);
                        }
                    }
                    // One turn of the event loop for each write.
                    backlog.trim(10 * TRIM_BLOCKS);
                }
            };
            for row in &sweep.rows {
                write_up_to(&mut backlog, &mut cursor, row.replica_offset, 14);
                if let Some(cursor) = cursor.take() {
                    backlog.release(cursor);
                }
                write_up_to(&mut backlog, &mut None, row.master_offset, sweep.unit);
                assert_eq!(backlog.first_byte(), row.first_byte_offset, "at {}", row.master_offset);
                assert_eq!(backlog.len(), row.histlen, "at {}", row.master_offset);
                let partial = backlog.covers(row.replica_offset + 1);
                assert_eq!(partial, row.full == 0, "at {}", row.master_offset);
                let from = if partial { row.replica_offset + 1 } else { row.master_offset + 1 };
                cursor = backlog.attach(from).0;
                backlog.invariants(1);
                // The replica reads what it missed.
                let cursor = cursor.as_mut().expect("a cursor was made");
                while backlog.has_unread(*cursor) {
                    let sent = backlog.peek(*cursor, usize::MAX).len();
                    backlog.advance(cursor, sent);
                }
            }
        }
    }

    #[test]
    fn sizes_of_blocks() {
        assert_eq!(allocated(16_384 + 40), 20_480);
        assert_eq!(allocated(65_536 + 40), 81_920);
        assert_eq!(allocated(20_480), 20_480);
        let mut backlog = Backlog::new(1 << 20, 0);
        backlog.feed(&vec![0; 100_000], 0);
        let capacities: Vec<u64> = backlog.blocks.iter().map(|block| block.capacity).collect();
        assert_eq!(capacities, [81_880, 20_440]);
        assert_eq!(backlog.memory(), 81_920 + 20_480 + 2 * 24);
    }

    #[test]
    fn a_lagging_replica_pins_its_blocks() {
        let mut backlog = Backlog::new(16_384, 0);
        let fed = backlog.feed(b"x", 1).expect("something was fed");
        for _ in 0..1_000 {
            backlog.feed(&[b'x'; 1_000], 0);
        }
        assert_eq!(backlog.first_byte(), 1);
        assert!(backlog.pinned(fed.start) > 1_000_000);
        backlog.release(fed.start);
        assert_eq!(backlog.first_byte() % 20_440, 1);
        assert!(backlog.len() > 16_384 && backlog.len() <= 16_384 + 20_440);
    }

    proptest! {
        /// Whatever is fed in whatever pieces, a reader reads exactly the stream from where it joined.
        #[test]
        fn readers_read_the_stream(
            pieces in proptest::collection::vec((0usize..40_000, 1usize..30_000), 1..40),
            join in 0usize..20,
        ) {
            let mut backlog = Backlog::new(SIZE_MIN, 100);
            let (mut stream, mut read, mut cursor) = (Vec::new(), Vec::new(), None);
            let mut joined_at = 0;
            for (i, &(len, room)) in pieces.iter().enumerate() {
                let piece: Vec<u8> = (0..len).map(|n| u8::try_from((n * 7 + i) % 251).expect("a rest fits a byte")).collect();
                let joins = i == join.min(pieces.len() - 1);
                if joins {
                    joined_at = stream.len();
                }
                let wants = joins && !piece.is_empty();
                let fed = backlog.feed(&piece, u32::from(wants));
                stream.extend_from_slice(&piece);
                if wants {
                    cursor = fed.map(|fed| fed.start);
                }
                if let Some(cursor) = &mut cursor {
                    prop_assert_eq!(backlog.unread(*cursor), (stream.len() - joined_at - read.len()) as u64);
                    let sent = backlog.peek(*cursor, room);
                    backlog.advance(cursor, sent.len());
                    read.extend_from_slice(&sent);
                }
                backlog.invariants(u32::from(cursor.is_some()));
                prop_assert_eq!(backlog.end(), 100 + stream.len() as u64);
            }
            while let Some(cursor) = cursor.as_mut().filter(|cursor| backlog.has_unread(**cursor)) {
                let sent = backlog.peek(*cursor, usize::MAX);
                backlog.advance(cursor, sent.len());
                read.extend_from_slice(&sent);
            }
            if cursor.is_some() {
                prop_assert_eq!(&read[..], &stream[joined_at..]);
            }
        }
    }
}
