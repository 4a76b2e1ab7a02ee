//! Points in time that outlive a process, and how much time has passed between two of them.
//!
//! The wall clock may be wrong, and may be set at any time. The time since boot is nobody's to set, but says
//! nothing across a reboot. So both are noted, and the answer says what it rests on.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A point in time, by both clocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Moment {
    /// What the wall clock said.
    pub wall: Timestamp,
    /// The time since boot; none where the kernel does not tell one boot from another.
    pub boot: Option<SinceBoot>,
}

/// The time since boot, suspended time included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SinceBoot {
    /// [`/proc/sys/kernel/random/boot_id`](https://man7.org/linux/man-pages/man4/random.4.html).
    pub id: String,
    /// `CLOCK_BOOTTIME`, in milliseconds.
    pub milliseconds: u64,
}

/// How long ago something was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// At least this, counted since boot. If the wall clock says more, that counts: a virtual machine that was
    /// paused does not notice it otherwise.
    Counted(Duration),
    /// This, if the wall clock was not set back since; there is no better witness across a reboot.
    Assumed(Duration),
    /// The clocks say that it has yet to come.
    Unknown,
}

impl Moment {
    /// How long ago `earlier` was.
    pub fn age_of(&self, earlier: &Self) -> Age {
        let by_wall = Duration::try_from(self.wall.duration_since(earlier.wall)).ok();
        match (&self.boot, &earlier.boot) {
            (Some(now), Some(then)) if now.id == then.id => {
                match now.milliseconds.checked_sub(then.milliseconds).map(Duration::from_millis) {
                    Some(counted) => Age::Counted(by_wall.unwrap_or_default().max(counted)),
                    None => Age::Unknown,
                }
            }
            _ => by_wall.map_or(Age::Unknown, Age::Assumed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(wall: i64, boot: Option<(&str, u64)>) -> Moment {
        Moment {
            wall: Timestamp::from_second(wall).expect("in range"),
            boot: boot.map(|(id, seconds)| SinceBoot { id: id.into(), milliseconds: seconds * 1000 }),
        }
    }

    #[test]
    fn the_time_since_boot_counts_and_the_wall_clock_can_only_make_it_more() {
        let seconds = Duration::from_secs;
        let rows = [
            ((100, Some(("a", 10))), (130, Some(("a", 40))), Age::Counted(seconds(30))),
            // Set back, set forward.
            ((100, Some(("a", 10))), (0, Some(("a", 40))), Age::Counted(seconds(30))),
            ((100, Some(("a", 10))), (7300, Some(("a", 40))), Age::Counted(seconds(7200))),
            // A copy of another machine's cache, or of an earlier state of this one.
            ((100, Some(("a", 40))), (130, Some(("a", 10))), Age::Unknown),
            // Another boot, or a kernel that does not tell.
            ((100, Some(("a", 10))), (130, Some(("b", 40))), Age::Assumed(seconds(30))),
            ((100, None), (130, Some(("b", 40))), Age::Assumed(seconds(30))),
            ((100, None), (130, None), Age::Assumed(seconds(30))),
            ((100, Some(("a", 10))), (99, Some(("b", 40))), Age::Unknown),
        ];
        for ((wall, boot), (wall_now, boot_now), expected) in rows {
            let (then, now) = (moment(wall, boot), moment(wall_now, boot_now));
            assert_eq!(now.age_of(&then), expected, "{then:?} to {now:?}");
        }
    }
}
