//! For how long a token serves: when to replace it, and for how long the kubelet may keep it.

use std::time::Duration;

use crate::clock::Age;
use crate::duration::GoDuration;

/// The longest time for which the kubelet keeps a token that is to be replaced.
const KEEP_DUE: Duration = Duration::from_mins(1);
/// What the kubelet keeps must be over this long before the token is. A pull that starts at the very end
/// still has to finish. Short lives have a shorter margin: a tenth.
const LONGEST_MARGIN: Duration = Duration::from_mins(5);

/// A token's life and when, in that life, it is due to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    life: Duration,
    due_after: Duration,
}

/// Where in its life a token is; with the time for which the kubelet may keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing to do.
    Fresh(GoDuration),
    /// It serves, and is to be replaced.
    Due(GoDuration),
    /// It serves if the wall clock is right. Only for want of anything better.
    Doubtful(GoDuration),
    /// It does not serve.
    Expired,
}

impl Freshness {
    /// A token that lives for `life` is due at half of that or, so that the nodes of a cluster do not all ask
    /// at once, up to a tenth of it later: `jitter` is from 0 to 1.
    pub fn new(life: Duration, jitter: f64) -> Self {
        Self { life, due_after: life.mul_f64(0.5 + 0.1 * jitter.clamp(0.0, 1.0)) }
    }

    /// A token whose time to be replaced is known already.
    pub fn known(life: Duration, due_after: Duration) -> Self {
        Self { life, due_after: due_after.min(life) }
    }

    /// How long after it was issued the token is due.
    pub fn due_after(self) -> Duration {
        self.due_after
    }

    /// The stage at an age.
    ///
    /// The kubelet keeps a fresh token until it is due, and not for more than half of what is left of its
    /// life; 6 hours at most, as ECR's tokens live for 12.
    pub fn stage(self, age: Age) -> Stage {
        let (Age::Counted(age) | Age::Assumed(age), is_doubtful) = (age, matches!(age, Age::Assumed(_)))
        else {
            return Stage::Expired;
        };
        let left = self.life.saturating_sub(age);
        let keep = |duration: Duration| {
            let margin = LONGEST_MARGIN.min(self.life / 10);
            GoDuration::from_secs(duration.min(left.saturating_sub(margin)).as_secs())
        };
        match self.due_after.checked_sub(age) {
            _ if left.is_zero() => Stage::Expired,
            _ if is_doubtful => Stage::Doubtful(keep(KEEP_DUE)),
            Some(until_due) if !until_due.is_zero() => Stage::Fresh(keep(until_due.min(left / 2))),
            _ => Stage::Due(keep(KEEP_DUE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn the_life_of_a_token_of_ecr() {
        let freshness = Freshness::new(12 * HOUR, 0.5);
        let minutes = |minutes: u64| GoDuration::from_secs(minutes * 60);
        let rows = [
            (Duration::ZERO, Stage::Fresh(minutes(360))),
            (3 * HOUR, Stage::Fresh(minutes(216))),
            (6 * HOUR, Stage::Fresh(minutes(36))),
            (6 * HOUR + HOUR * 6 / 10, Stage::Due(minutes(1))),
            (Duration::from_secs(43_200 - 320), Stage::Due(GoDuration::from_secs(20))),
            (Duration::from_secs(43_200 - 1), Stage::Due(GoDuration::ZERO)),
            (12 * HOUR, Stage::Expired),
        ];
        for (age, expected) in rows {
            assert_eq!(freshness.stage(Age::Counted(age)), expected, "{age:?}");
        }
        assert_eq!(freshness.stage(Age::Assumed(Duration::ZERO)), Stage::Doubtful(minutes(1)));
        assert_eq!(freshness.stage(Age::Assumed(12 * HOUR)), Stage::Expired);
        assert_eq!(freshness.stage(Age::Unknown), Stage::Expired);
    }

    fn lives() -> impl Strategy<Value = Duration> {
        (1..=43_200_000_u64).prop_map(Duration::from_millis)
    }

    proptest! {
        /// The promise to the cluster: never negative, always under 12 hours, over before the token is; and a
        /// token that has expired is never served.
        #[test]
        fn nothing_outlives_the_token(life in lives(), jitter in -1.0..2.0_f64, age in lives()) {
            let freshness = Freshness::new(life, jitter);
            let margin = (life / 10).min(Duration::from_mins(5));
            for age in [Age::Counted(age), Age::Assumed(age)] {
                let (Age::Counted(passed) | Age::Assumed(passed)) = age else { unreachable!() };
                match freshness.stage(age) {
                    Stage::Expired => prop_assert!(passed >= life),
                    Stage::Fresh(keep) | Stage::Due(keep) | Stage::Doubtful(keep) => {
                        prop_assert!(passed < life);
                        prop_assert!(keep.as_std() <= 6 * HOUR);
                        prop_assert!(keep == GoDuration::ZERO || passed + keep.as_std() + margin <= life);
                    }
                }
            }
        }

        /// Never early, never after three fifths of the life; and what the kubelet keeps does not delay it.
        #[test]
        fn it_is_due_between_half_and_three_fifths_of_its_life(
            life in lives(), jitter in 0.0..=1.0_f64, age in lives(),
        ) {
            let share = age.as_secs_f64() / life.as_secs_f64();
            match Freshness::new(life, jitter).stage(Age::Counted(age)) {
                Stage::Fresh(keep) => {
                    prop_assert!(share < 0.61);
                    prop_assert!((age + keep.as_std()).as_secs_f64() <= life.as_secs_f64() * 0.61);
                }
                Stage::Due(keep) => {
                    prop_assert!(share > 0.49);
                    prop_assert!(keep.as_std() <= Duration::from_mins(1));
                }
                Stage::Expired => prop_assert!(share >= 1.0),
                Stage::Doubtful(_) => prop_assert!(false, "the age was counted"),
            }
        }
    }
}
