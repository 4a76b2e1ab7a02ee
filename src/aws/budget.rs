//! How long a call may take.
//!
//! Set in code and not left to the environment: the SDK has no limit on waiting for an answer, and panics on a
//! malformed `AWS_MAX_ATTEMPTS`.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;

use crate::context::Context;

/// How long to wait for a connection: three attempts of TCP to start one.
const LONGEST_CONNECT: Duration = Duration::from_millis(3100);

/// The time for everything that is done for one token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    total: Duration,
    attempt: Duration,
    /// Whether to give up when the total is over; otherwise the watchdog ends the run.
    pub(super) gives_up_after: Option<Duration>,
}

impl Budget {
    /// All that is left until the deadline. Three attempts and the pauses between them fit in, with some time
    /// left to report what went wrong.
    pub(crate) fn whole(context: &Context<'_>) -> Self {
        Self::of(context.deadline.remaining())
    }

    /// The time that one call has.
    pub(super) fn of(deadline: Duration) -> Self {
        Self { total: deadline, attempt: deadline.mul_f32(0.24), gives_up_after: None }
    }

    /// What may be spent on a token that is not needed yet.
    pub(crate) fn short(context: &Context<'_>) -> Self {
        let share = (context.deadline.limit() / 5).min(Duration::from_secs(3));
        let total = share.min(context.deadline.remaining().mul_f32(0.8));
        Self { total, attempt: total, gives_up_after: Some(total) }
    }

    /// How long one attempt may take.
    pub(super) fn attempt(self) -> Duration {
        self.attempt
    }

    /// How long to wait between two attempts that are not the SDK's: longer each time, and others for others.
    pub(super) fn pause_after(self, attempt: u32) -> Duration {
        self.total.mul_f64(0.04 * f64::from(1 << attempt.min(4)) * fastrand::f64())
    }

    pub(super) fn timeouts(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.attempt.min(LONGEST_CONNECT))
            .read_timeout(self.attempt)
            .operation_attempt_timeout(self.attempt)
            .build()
    }

    /// For one request that is not the SDK's.
    pub(super) fn connector_settings(self) -> HttpConnectorSettings {
        HttpConnectorSettings::builder()
            .connect_timeout(self.attempt.min(LONGEST_CONNECT))
            .read_timeout(self.attempt)
            .build()
    }

    pub(super) fn retries(self) -> RetryConfig {
        RetryConfig::standard().with_max_attempts(3).with_initial_backoff(self.total.mul_f32(0.04))
    }
}
