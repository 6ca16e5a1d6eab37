//! Places on earth as numbers that sort: geohashes of 52 bits, the boxes that cover an area, distances (`geohash.c`).

use super::trigonometry::{asin, cos, sin};

/// Limits of the web Mercator projection, in degrees.
pub const LONGITUDE_MAX: f64 = 180.0;
/// The poles can't be encoded.
pub const LATITUDE_MAX: f64 = 85.051_128_78;
/// The geometric mean radius of WGS 84, in metres.
const EARTH_RADIUS: f64 = 6_372_797.560_856;
const MERCATOR_MAX: f64 = 20_037_726.37;
const RADIAN: f64 = std::f64::consts::PI / 180.0;
/// Bits of each coordinate in a score.
const STEP_MAX: u32 = 26;

/// Longitude and latitude in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// East positive.
    pub longitude: f64,
    /// North positive.
    pub latitude: f64,
}

/// A box of the grid that has `2^step` boxes each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Latitude's bits in the even places, longitude's in the odd ones.
    bits: u64,
    step: u32,
}

/// The edges of a box.
#[derive(Clone, Copy, Debug)]
struct Edges {
    south: f64,
    north: f64,
    west: f64,
    east: f64,
}

/// Puts 32 bits into the even places.
fn spread(bits: u32) -> u64 {
    let mut x = u64::from(bits);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        x = (x | x << shift) & mask;
    }
    x
}

/// Takes the even places out.
fn gather(bits: u64) -> u32 {
    (0..32).fold(0, |gathered, i| gathered | u32::from(bits >> (2 * i) & 1 == 1) << i)
}

/// Where a value lies between two limits, in units of `2^-step`.
fn fixed(value: f64, max: f64, step: u32) -> u32 {
    let share = (value + max) / (max + max);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the fraction is dropped")]
    let fixed = (share * (1_u64 << step) as f64) as u32;
    fixed
}

impl Cell {
    fn of(point: Point, latitude_max: f64, step: u32) -> Cell {
        let latitude = spread(fixed(point.latitude, latitude_max, step));
        let longitude = spread(fixed(point.longitude, LONGITUDE_MAX, step));
        Cell { bits: latitude | longitude << 1, step }
    }

    fn edges(self) -> Edges {
        let place = |number: u32, max: f64| -max + (f64::from(number) / (1_u64 << self.step) as f64) * (max + max);
        let (latitude, longitude) = (gather(self.bits), gather(self.bits >> 1));
        Edges {
            south: place(latitude, LATITUDE_MAX),
            north: place(latitude.wrapping_add(1), LATITUDE_MAX),
            west: place(longitude, LONGITUDE_MAX),
            east: place(longitude.wrapping_add(1), LONGITUDE_MAX),
        }
    }

    /// The box so many steps east and north, around the edge of the map.
    fn neighbour(self, east: i64, north: i64) -> Cell {
        let mask = (1_u64 << self.step) - 1;
        let shift = |bits: u64, by: i64| {
            let moved = u64::from(gather(bits)).wrapping_add_signed(by) & mask;
            spread(u32::try_from(moved).expect("at most 26 bits"))
        };
        Cell { bits: shift(self.bits, north) | shift(self.bits >> 1, east) << 1, step: self.step }
    }

    /// The scores of the places within: from the first up to but without the second.
    #[must_use]
    pub fn scores(self) -> (u64, u64) {
        let shift = 2 * (STEP_MAX - self.step);
        (self.bits << shift, (self.bits + 1) << shift)
    }
}

/// The score of a place.
#[must_use]
pub fn encode(point: Point) -> u64 {
    Cell::of(point, LATITUDE_MAX, STEP_MAX).bits
}

/// As C casts a double on the usual machines: what has no place wraps around, or is the greatest bit alone.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "that is the point")]
fn cast(score: f64) -> u64 {
    const TOP: u64 = 1 << 63;
    const END: f64 = 9_223_372_036_854_775_808.0;
    let signed = |value: f64| if (-END..END).contains(&value) { (value as i64) as u64 } else { TOP };
    if score >= END { signed(score - END) ^ TOP } else { signed(score) }
}

/// The place of a score: the middle of its box.
#[must_use]
pub fn decode(score: f64) -> Point {
    let edges = Cell { bits: cast(score), step: STEP_MAX }.edges();
    let middle = |low: f64, high: f64, max: f64| ((low + high) / 2.0).clamp(-max, max);
    Point {
        longitude: middle(edges.west, edges.east, LONGITUDE_MAX),
        latitude: middle(edges.south, edges.north, LATITUDE_MAX),
    }
}

/// The eleven characters of the common geohash, whose last one is always `0`.
#[must_use]
pub fn text(point: Point) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let bits = Cell::of(point, 90.0, STEP_MAX).bits;
    let letter = |i: u32| char::from(ALPHABET[(bits >> (52 - (i + 1) * 5) & 0x1f).to_le_bytes()[0] as usize]);
    (0..10).map(letter).chain(['0']).collect()
}

/// Metres between two latitudes.
fn latitude_distance(one: f64, other: f64) -> f64 {
    EARTH_RADIUS * (other * RADIAN - one * RADIAN).abs()
}

/// Metres between two places (haversine).
#[must_use]
pub fn distance(one: Point, other: Point) -> f64 {
    let v = sin((other.longitude * RADIAN - one.longitude * RADIAN) / 2.0);
    if v == 0.0 {
        return latitude_distance(one.latitude, other.latitude);
    }
    let (from, to) = (one.latitude * RADIAN, other.latitude * RADIAN);
    let u = sin((to - from) / 2.0);
    let a = u * u + cos(from) * cos(to) * v * v;
    2.0 * EARTH_RADIUS * asin(libm::sqrt(a))
}

/// What is searched, around a place; lengths are in metres.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A circle.
    Circle {
        /// Its radius.
        radius: f64,
    },
    /// A rectangle.
    Rectangle {
        /// From west to east.
        width: f64,
        /// From south to north.
        height: f64,
    },
}

impl Shape {
    /// How far a place is from the centre, if it is within.
    #[must_use]
    pub fn distance_within(self, centre: Point, place: Point) -> Option<f64> {
        match self {
            Shape::Circle { radius } => Some(distance(centre, place)).filter(|far| *far <= radius),
            Shape::Rectangle { width, height } => {
                if latitude_distance(place.latitude, centre.latitude) > height / 2.0 {
                    return None;
                }
                let level = Point { longitude: centre.longitude, latitude: place.latitude };
                (distance(place, level) <= width / 2.0).then(|| distance(centre, place))
            }
        }
    }

    /// A box around it in degrees, narrower than it in places (`geohashBoundingBox`).
    fn bounds(self, centre: Point) -> Edges {
        let (width, height) = match self {
            Shape::Circle { radius } => (radius, radius),
            Shape::Rectangle { width, height } => (width / 2.0, height / 2.0),
        };
        let up = height / EARTH_RADIUS / RADIAN;
        let nearer_equator = if centre.latitude < 0.0 { centre.latitude - up } else { centre.latitude + up };
        let aside = width / EARTH_RADIUS / cos(nearer_equator * RADIAN) / RADIAN;
        Edges {
            south: centre.latitude - up,
            north: centre.latitude + up,
            west: centre.longitude - aside,
            east: centre.longitude + aside,
        }
    }

    /// How fine a grid has boxes that are about as large (`geohashEstimateStepsByRadius`).
    fn step(self, latitude: f64) -> u32 {
        let mut range = match self {
            Shape::Circle { radius } => radius,
            Shape::Rectangle { width, height } => {
                libm::sqrt((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0))
            }
        };
        if range == 0.0 {
            return STEP_MAX;
        }
        let mut step = 1_i32;
        while range < MERCATOR_MAX {
            range *= 2.0;
            step += 1;
        }
        // Towards the poles boxes are narrower.
        step -= 2 + i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
        step.clamp(1, 26).unsigned_abs()
    }

    /// The boxes that cover it, the one with the centre first (`geohashCalculateAreasByShapeWGS84`).
    #[must_use]
    pub fn cells(self, centre: Point) -> Vec<Cell> {
        let bounds = self.bounds(centre);
        let mut step = self.step(centre.latitude);
        let mut own = Cell::of(centre, LATITUDE_MAX, step);
        let (east, north) = (own.neighbour(1, 0).edges(), own.neighbour(0, 1).edges());
        let (west, south) = (own.neighbour(-1, 0).edges(), own.neighbour(0, -1).edges());
        let too_small = north.north < bounds.north
            || south.south > bounds.south
            || east.east < bounds.east
            || west.west > bounds.west;
        if step > 1 && too_small {
            step -= 1;
            own = Cell::of(centre, LATITUDE_MAX, step);
        }
        let edges = own.edges();
        // Neighbours beyond an edge that the shape doesn't reach are of no use.
        let useless = |east: i64, north: i64| {
            step >= 2
                && (north < 0 && edges.south < bounds.south
                    || north > 0 && edges.north > bounds.north
                    || east < 0 && edges.west < bounds.west
                    || east > 0 && edges.east > bounds.east)
        };
        let around = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let kept = around.into_iter().filter(|&(east, north)| !useless(east, north));
        let mut cells = vec![own];
        for (east, north) in kept {
            let cell = own.neighbour(east, north);
            // Huge shapes meet the same box again; the first of all isn't compared with.
            if cells.len() == 1 || cells.last() != Some(&cell) {
                cells.push(cell);
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn palermo_and_catania() {
        let palermo = Point { longitude: 13.361389, latitude: 38.115556 };
        let catania = Point { longitude: 15.087269, latitude: 37.502669 };
        assert_eq!(encode(palermo), 3_479_099_956_230_698);
        let (a, b) = (decode(3_479_099_956_230_698.0), decode(3_479_447_370_796_909.0));
        assert_eq!(format!("{:.4}", distance(a, b)), "166274.1516");
        assert_eq!(text(a), "sqc8b49rny0");
        assert!((distance(palermo, catania) - 166_274.15).abs() < 1.0);
    }
}
