//! The geo commands: sorted sets whose scores are places (`geo.c`).

use std::sync::Arc;

use super::flag::{DENYOOM, MOVABLE_KEYS, READONLY, WRITE};
use super::{Spec, row, zsets};
use crate::resp::lossless;
use crate::server::call::Cx;
use crate::server::cost;
use crate::server::keyspace::geohash::{self, LATITUDE_MAX, LONGITUDE_MAX, Point, Shape};
use crate::server::keyspace::zset::ZSet;
use crate::server::keyspace::{Element, Type, Value};
use crate::server::notify::Classes;
use crate::server::partial_sort;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("geoadd", -5, WRITE | DENYOOM, (1, 1, 1), "@write @geo @slow", geoadd),
    row("geodist", -4, READONLY, (1, 1, 1), "@read @geo @slow", geodist),
    row("geohash", -2, READONLY, (1, 1, 1), "@read @geo @slow", geohash),
    row("geopos", -2, READONLY, (1, 1, 1), "@read @geo @slow", geopos),
    row("georadius", -6, WRITE | DENYOOM | MOVABLE_KEYS, (1, 1, 1), "@write @geo @slow", georadius),
    row("georadius_ro", -6, READONLY, (1, 1, 1), "@read @geo @slow", georadius_ro),
    row("georadiusbymember", -5, WRITE | DENYOOM | MOVABLE_KEYS, (1, 1, 1), "@write @geo @slow", georadiusbymember),
    row("georadiusbymember_ro", -5, READONLY, (1, 1, 1), "@read @geo @slow", georadiusbymember_ro),
    row("geosearch", -7, READONLY, (1, 1, 1), "@read @geo @slow", geosearch),
    row("geosearchstore", -8, WRITE | DENYOOM, (1, 2, 1), "@write @geo @slow", geosearchstore),
];

const NO_MEMBER: &str = "ERR could not decode requested zset member";

impl Cx<'_> {
    /// Longitude and latitude at argument `i` and the next; `None`: an error was answered.
    fn point_arg(&mut self, i: usize) -> Option<Point> {
        let longitude = self.double_arg(i, "ERR value is not a valid float")?;
        let latitude = self.double_arg(i + 1, "ERR value is not a valid float")?;
        if longitude.abs() > LONGITUDE_MAX || latitude.abs() > LATITUDE_MAX {
            self.add_error(&format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"));
            return None;
        }
        Some(Point { longitude, latitude })
    }

    /// Metres in the unit at argument `i`; `None`: an error was answered.
    fn unit_arg(&mut self, i: usize) -> Option<f64> {
        let metres = match self.args.get(i).to_ascii_lowercase().as_slice() {
            b"m" => 1.0,
            b"km" => 1_000.0,
            b"ft" => 0.304_8,
            b"mi" => 1_609.34,
            _ => {
                self.add_error("ERR unsupported unit provided. please use M, KM, FT, MI");
                return None;
            }
        };
        Some(metres)
    }

    /// A radius and its unit: what is searched, and the metres of the unit.
    fn radius_arg(&mut self, i: usize) -> Option<(Shape, f64)> {
        let radius = self.double_arg(i, "ERR need numeric radius")?;
        if radius < 0.0 {
            self.add_error("ERR radius cannot be negative");
            return None;
        }
        let unit = self.unit_arg(i + 1)?;
        Some((Shape::Circle { radius: radius * unit }, unit))
    }

    fn box_arg(&mut self, i: usize) -> Option<(Shape, f64)> {
        let width = self.double_arg(i, "ERR need numeric width")?;
        let height = self.double_arg(i + 1, "ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            self.add_error("ERR height or width cannot be negative");
            return None;
        }
        let unit = self.unit_arg(i + 2)?;
        Some((Shape::Rectangle { width: width * unit, height: height * unit }, unit))
    }

    /// A distance with four decimals (`addReplyDoubleDistance`).
    fn add_distance(&mut self, distance: f64) {
        #[allow(clippy::cast_possible_truncation, reason = "distances on earth are short")]
        let scaled = libm::rint(distance * 10_000.0) as i64;
        self.add_bulk(format!("{}.{:04}", scaled / 10_000, scaled % 10_000).as_bytes());
    }

    /// A coordinate (`addReplyHumanLongDouble`).
    fn add_coordinate(&mut self, value: f64) {
        let text = format!("{value:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let text = if text == "-0" { "0" } else { text };
        if self.session().resp > 2 {
            let reply = self.reply();
            reply.extend_from_slice(b",");
            reply.extend_from_slice(text.as_bytes());
            reply.extend_from_slice(b"\r\n");
        } else {
            self.add_bulk(text.as_bytes());
        }
    }

    fn add_point(&mut self, point: Point) {
        self.add_array(2);
        self.add_coordinate(point.longitude);
        self.add_coordinate(point.latitude);
    }
}

fn geoadd(cx: &mut Cx<'_>) {
    let (mut options, mut first) = (zsets::Options::default(), 2);
    while first < cx.args.len() {
        match cx.args.get(first).to_ascii_lowercase().as_slice() {
            b"nx" => options.nx = true,
            b"xx" => options.xx = true,
            b"ch" => options.ch = true,
            _ => break,
        }
        first += 1;
    }
    if !(cx.args.len() - first).is_multiple_of(3) || options.nx && options.xx {
        return cx.add_syntax_error();
    }
    let mut pairs = Vec::new();
    for i in (first..cx.args.len()).step_by(3) {
        let Some(point) = cx.point_arg(i) else { return };
        pairs.push((geohash::encode(point), i + 2));
    }
    // The command goes on as the ZADD that does the work.
    let args = cx.args;
    let scores: Vec<String> = pairs.iter().map(|(score, _)| score.to_string()).collect();
    let mut parts: Vec<&[u8]> = vec![b"zadd"];
    parts.extend((1..first).map(|i| args.get(i)));
    for (score, (_, i)) in scores.iter().zip(&pairs) {
        parts.extend([score.as_bytes(), args.get(*i)]);
    }
    cx.rewrite(&parts);
    let members: Vec<(f64, usize)> = pairs.iter().map(|&(score, i)| (score as f64, i)).collect();
    zsets::add_members(cx, options, &members);
}

fn geodist(cx: &mut Cx<'_>) {
    let mut unit = 1.0;
    if cx.args.len() == 5 {
        let Some(given) = cx.unit_arg(4) else { return };
        unit = given;
    } else if cx.args.len() > 5 {
        return cx.add_syntax_error();
    }
    let Ok(found) = cx.read_zset(1) else { return };
    let args = cx.args;
    let scores = found.and_then(|set| Some((set.score(args.get(2))?, set.score(args.get(3))?)));
    match scores {
        Some((one, other)) => cx.add_distance(geohash::distance(geohash::decode(one), geohash::decode(other)) / unit),
        None => cx.add_null(),
    }
}

fn geohash(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_zset(1) else { return };
    let args = cx.args;
    cx.add_array(args.len() - 2);
    for member in args.iter().skip(2) {
        match found.as_ref().and_then(|set| set.score(member)) {
            Some(score) => cx.add_bulk(geohash::text(geohash::decode(score)).as_bytes()),
            None => cx.add_null(),
        }
    }
}

fn geopos(cx: &mut Cx<'_>) {
    let Ok(found) = cx.read_zset(1) else { return };
    let args = cx.args;
    cx.add_array(args.len() - 2);
    for member in args.iter().skip(2) {
        match found.as_ref().and_then(|set| set.score(member)) {
            Some(score) => cx.add_point(geohash::decode(score)),
            None => cx.add_null_array(),
        }
    }
}

/// Which of the searching commands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Radius,
    RadiusByMember,
    Search,
    SearchStore,
}

/// What was found.
struct Hit {
    distance: f64,
    score: f64,
    point: Point,
    member: Element,
}

/// What a search command asks for.
#[derive(Default)]
struct Request {
    with_distance: bool,
    with_hash: bool,
    with_place: bool,
    any: bool,
    descending: Option<bool>,
    count: usize,
    centre: Option<Point>,
    /// There is a member to begin with, of a key that isn't there.
    nowhere: bool,
    shape: Option<(Shape, f64)>,
    is_box: bool,
    from_member: bool,
    store: Option<usize>,
    store_distance: bool,
}

impl Request {
    /// One option at argument `i`: how many arguments it takes. `None`: an error was answered.
    fn option(&mut self, cx: &mut Cx<'_>, i: usize, kind: Kind, may_store: bool, set: Option<&ZSet>) -> Option<usize> {
        let left = cx.args.len() - i - 1;
        let searches = matches!(kind, Kind::Search | Kind::SearchStore);
        match cx.args.get(i).to_ascii_lowercase().as_slice() {
            b"withdist" => self.with_distance = true,
            b"withhash" => self.with_hash = true,
            b"withcoord" => self.with_place = true,
            b"any" => self.any = true,
            b"asc" => self.descending = Some(false),
            b"desc" => self.descending = Some(true),
            b"count" if left >= 1 => {
                let count = cx.int_arg(i + 1)?;
                if count <= 0 {
                    cx.add_error("ERR COUNT must be > 0");
                    return None;
                }
                self.count = usize::try_from(count).unwrap_or(usize::MAX);
                return Some(2);
            }
            word @ (b"store" | b"storedist") if left >= 1 && may_store && !searches => {
                self.store = Some(i + 1);
                self.store_distance = word == b"storedist";
                return Some(2);
            }
            b"storedist" if kind == Kind::SearchStore => self.store_distance = true,
            b"frommember" if left >= 1 && searches && (self.centre.is_none() || self.from_member) => {
                self.from_member = true;
                match set {
                    None => self.nowhere = true,
                    Some(set) => self.centre = Some(member_place(cx, set, i + 1)?),
                }
                return Some(2);
            }
            b"fromlonlat" if left >= 2 && searches && !self.from_member => {
                self.centre = Some(cx.point_arg(i + 1)?);
                return Some(3);
            }
            b"byradius" if left >= 2 && searches && !self.is_box => {
                self.shape = Some(cx.radius_arg(i + 1)?);
                return Some(3);
            }
            b"bybox" if left >= 3 && searches && (self.shape.is_none() || self.is_box) => {
                self.shape = Some(cx.box_arg(i + 1)?);
                self.is_box = true;
                return Some(4);
            }
            _ => {
                cx.add_syntax_error();
                return None;
            }
        }
        Some(1)
    }

    /// False when options don't go together, which was answered.
    fn is_consistent(&self, cx: &mut Cx<'_>, kind: Kind) -> bool {
        let name = lossless(cx.args.get(0));
        let searches = matches!(kind, Kind::Search | Kind::SearchStore);
        let error = if self.store.is_some() && (self.with_distance || self.with_hash || self.with_place) {
            let what = if kind == Kind::SearchStore { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            format!("ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
        } else if searches && self.centre.is_none() && !self.nowhere {
            format!("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}")
        } else if searches && self.shape.is_none() {
            format!("ERR exactly one of BYRADIUS and BYBOX can be specified for {name}")
        } else if self.any && self.count == 0 {
            "ERR the ANY argument requires COUNT argument".to_owned()
        } else {
            return true;
        };
        cx.add_error(&error);
        false
    }
}

fn member_place(cx: &mut Cx<'_>, set: &ZSet, i: usize) -> Option<Point> {
    let score = set.score(cx.args.get(i));
    if score.is_none() {
        cx.add_error(NO_MEMBER);
    }
    score.map(geohash::decode)
}

/// All of the searching commands (`georadiusGeneric`).
fn search(cx: &mut Cx<'_>, kind: Kind, may_store: bool) {
    let source = if kind == Kind::SearchStore { 2 } else { 1 };
    let found = cx.find_read(source);
    let Ok(found) = cx.of_type(found, Type::ZSet) else { return };
    let set = found.and_then(|at| if let Value::ZSet(set) = &cx.entry(at).value { Some(set.clone()) } else { None });
    let mut request = Request::default();
    let first = match (kind, &set) {
        (Kind::Radius, _) => {
            let Some(centre) = cx.point_arg(2) else { return };
            request.centre = Some(centre);
            request.shape = cx.radius_arg(4);
            6
        }
        (Kind::RadiusByMember, Some(set)) => {
            let Some(centre) = member_place(cx, set, 2) else { return };
            request.centre = Some(centre);
            request.shape = cx.radius_arg(3);
            5
        }
        (Kind::RadiusByMember, None) => 5,
        (Kind::Search, _) => 2,
        (Kind::SearchStore, _) => {
            request.store = Some(1);
            3
        }
    };
    if first >= 5 && set.is_some() && request.shape.is_none() || kind == Kind::Radius && request.shape.is_none() {
        return;
    }
    let mut i = first;
    while i < cx.args.len() {
        let Some(taken) = request.option(cx, i, kind, may_store, set.as_deref()) else { return };
        i += taken;
    }
    if !request.is_consistent(cx, kind) {
        return;
    }
    let (Some(set), Some(centre), Some((shape, unit))) = (set, request.centre, request.shape) else {
        return match request.store {
            Some(target) => store(cx, kind, target, Vec::new()),
            None => cx.add_array(0),
        };
    };
    let mut hits = hits(cx, &set, centre, shape, if request.any { request.count } else { 0 });
    sort(&request, &mut hits);
    hits.iter_mut().for_each(|hit| hit.distance /= unit);
    match request.store {
        None => answer(cx, &request, &hits),
        Some(target) => {
            let score = |hit: &Hit| if request.store_distance { hit.distance } else { hit.score };
            let members = hits.into_iter().map(|hit| (score(&hit), hit.member)).collect();
            store(cx, kind, target, members);
        }
    }
}

/// The members within a shape, box by box; at most `limit` unless that is zero (`membersOfAllNeighbors`).
fn hits(cx: &mut Cx<'_>, set: &ZSet, centre: Point, shape: Shape, limit: usize) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut looked_at = 0;
    let enough = |hits: &Vec<Hit>| limit > 0 && hits.len() >= limit;
    for cell in shape.cells(centre) {
        if enough(&hits) {
            break;
        }
        let (low, high) = cell.scores();
        let (low, high) = (low as f64, high as f64);
        let from = set.count_before(|score, _| score < low);
        for (score, member) in set.range(from, set.len() - from, false).take_while(|(score, _)| *score < high) {
            looked_at += 1;
            let point = geohash::decode(score);
            if let Some(distance) = shape.distance_within(centre, point) {
                hits.push(Hit { distance, score, point, member: member.clone() });
            }
            if enough(&hits) {
                break;
            }
        }
    }
    cx.s.meter.add(looked_at * cost::ELEMENT);
    hits
}

/// Sorts by distance and keeps as many as were asked for.
fn sort(request: &Request, hits: &mut Vec<Hit>) {
    let wanted = if request.count == 0 { hits.len() } else { request.count.min(hits.len()) };
    let descending = request.descending.or((request.count > 0 && !request.any).then_some(false));
    if let Some(descending) = descending {
        let compare = |one: &Hit, other: &Hit| {
            let order = one.distance.total_cmp(&other.distance);
            if descending { order.reverse() } else { order }
        };
        if wanted == hits.len() {
            hits.sort_by(compare);
        } else {
            partial_sort::sort(hits, 0, wanted - 1, compare);
        }
    }
    hits.truncate(wanted);
}

fn answer(cx: &mut Cx<'_>, request: &Request, hits: &[Hit]) {
    let options = [request.with_distance, request.with_hash, request.with_place].iter().filter(|on| **on).count();
    cx.add_array(hits.len());
    for hit in hits {
        if options > 0 {
            cx.add_array(options + 1);
        }
        cx.add_bulk(hit.member.as_slice());
        if request.with_distance {
            cx.add_distance(hit.distance);
        }
        if request.with_hash {
            #[allow(clippy::cast_possible_truncation, reason = "scores of places are whole numbers")]
            cx.add_integer(hit.score as i64);
        }
        if request.with_place {
            cx.add_point(hit.point);
        }
    }
}

/// Stores members under argument `target`, or deletes that key when there are none; answers how many.
fn store(cx: &mut Cx<'_>, kind: Kind, target: usize, members: Vec<(f64, Element)>) {
    let count = members.len();
    if members.is_empty() {
        if cx.delete_and_notify(target) {
            cx.dirty(1);
        }
        return cx.add_integer(0);
    }
    let packing = cx.zset_packing();
    let mut set = ZSet::default();
    for (score, member) in members {
        set.set(member.as_slice(), score, packing);
    }
    cx.set_key(target, Value::ZSet(Arc::new(set)), false);
    let event = if kind == Kind::SearchStore { "geosearchstore" } else { "georadiusstore" };
    cx.notify(Classes::ZSET, event, target);
    cx.dirty(count as u64);
    cx.add_count(count);
}

fn georadius(cx: &mut Cx<'_>) {
    search(cx, Kind::Radius, true);
}

fn georadius_ro(cx: &mut Cx<'_>) {
    search(cx, Kind::Radius, false);
}

fn georadiusbymember(cx: &mut Cx<'_>) {
    search(cx, Kind::RadiusByMember, true);
}

fn georadiusbymember_ro(cx: &mut Cx<'_>) {
    search(cx, Kind::RadiusByMember, false);
}

fn geosearch(cx: &mut Cx<'_>) {
    search(cx, Kind::Search, false);
}

fn geosearchstore(cx: &mut Cx<'_>) {
    search(cx, Kind::SearchStore, false);
}
