//! The TCP User Timeout Option (RFC 5482): each end tells how long it would wait for an ACK before it gives the
//! connection up, and
//! waits as long as the one with more patience, within limits.
//!
//! The SYN of a peer is answered out of a record too small for what it advertises. As the RFC expects, that comes again
//! with its first segment that is no SYN.

use super::context::Context;
use super::tcb::{Is, Tcb};
use super::timeout::KEEPALIVE_MIN;
use super::timers::Timer;
use crate::config::TcpConfig;
use crate::sockopt::SocketOptions;
use crate::time::Duration;
use crate::user_timeout::UserTimeout;
use crate::wire::options::Options;

/// SYNs and SYN,ACKs sent again this often leave the option out: perhaps it is what somebody on the path drops them for.
const MOST_LOST: u8 = 2;

/// By how much L_LIMIT is above the retransmission timeout.
const ABOVE_RTO: Duration = Duration::from_secs(1);

impl SocketOptions {
    /// What the peer is told, if it is told anything.
    fn told_user_timeout(&self, config: &TcpConfig) -> Option<UserTimeout> {
        let option = self.user_timeout_option;
        let ours = || UserTimeout::new(self.user_timeout.unwrap_or(config.r2));
        option.advertised.or_else(ours).filter(|_| option.enabled)
    }

    /// The field of the option on a SYN or SYN,ACK that was sent again `lost` times.
    pub(super) fn user_timeout_on_syn(&self, config: &TcpConfig, lost: u8) -> Option<u16> {
        self.told_user_timeout(config).filter(|_| lost < MOST_LOST).map(UserTimeout::field)
    }
}

impl Tcb {
    /// USER_TIMEOUT, where the program or the peer has a say in it.
    #[inline]
    pub(super) fn user_timeout(&self, config: &TcpConfig) -> Option<Duration> {
        // Few peers say anything, and each deadline asks.
        match self.peer_user_timeout {
            None => self.options.user_timeout,
            Some(remote) => self.agreed_user_timeout(remote, config),
        }
    }

    /// The same where the peer has advertised `remote`.
    fn agreed_user_timeout(&self, remote: UserTimeout, config: &TcpConfig) -> Option<Duration> {
        let ours = self.options.user_timeout;
        let told = self.options.told_user_timeout(config);
        //= https://www.rfc-editor.org/rfc/rfc5482#section-3.3
        //# Connections in other states MUST use the default timeout values defined in [RFC0793] and
        //# [RFC1122].
        //= https://www.rfc-editor.org/rfc/rfc5482#section-3.1
        //# If the CHANGEABLE flag is false, USER_TIMEOUT MUST NOT be changed, regardless of the received UTO
        //# option.
        let (Some(told), true) =
            (told, self.options.user_timeout_changeable() && self.state().is_synchronized())
        else {
            return ours;
        };
        //= https://www.rfc-editor.org/rfc/rfc5482#section-3.1
        //# Therefore, the lower limit (L_LIMIT) MUST be larger than the current retransmission timeout (RTO) for
        //# the connection.
        let least = config.user_timeout_min.max(self.rtt.rto().saturating_add(ABOVE_RTO));
        //= https://www.rfc-editor.org/rfc/rfc5482#section-3.1
        //# The remainder of this section describes a RECOMMENDED scheme to limit TCP's USER TIMEOUT based on
        //# upper and lower limits.
        //= https://www.rfc-editor.org/rfc/rfc5482#section-3.1
        //# Under the RECOMMENDED scheme, and when CHANGEABLE is true, each end SHOULD compute the local USER
        //# TIMEOUT for a connection according to this formula:
        //= https://www.rfc-editor.org/rfc/rfc5482#section-3.1
        //# The RECOMMENDED formula results in the maximum of the two advertised values, adjusted for the
        //# configured upper and lower limits, to be adopted for the user timeout of the connection on both ends.
        //= https://www.rfc-editor.org/rfc/rfc5482#section-3.1
        //# To protect against these effects, implementations MUST impose limits on the user timeout values they
        //# accept and use.
        Some(told.time().max(remote.time()).max(least).min(config.user_timeout_max))
    }

    /// How long data may stay unacknowledged: as long as was set or agreed on, or R2 (§3.8.3).
    pub fn give_up_after(&self, config: &TcpConfig) -> Duration {
        self.user_timeout(config).unwrap_or(config.r2)
    }

    /// A segment that counts brought these options.
    pub(super) fn take_user_timeout(&mut self, options: &Options, cx: &Context<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc5482#section-3
        //# A TCP implementation that does not support the UTO option MUST silently ignore it [RFC1122], thus
        //# ensuring interoperability.
        let Some(field) = options.user_timeout.filter(|_| self.options.user_timeout_option.enabled) else {
            return;
        };
        let remote = UserTimeout::from_field(field);
        if remote.is_none() || remote == self.peer_user_timeout {
            return;
        }
        let before = self.give_up_after(cx.config);
        //= https://www.rfc-editor.org/rfc/rfc5482#section-3.1
        //# In general, unless the application on the local host has requested a specific USER TIMEOUT for the
        //# connection, CHANGEABLE will be true and hosts SHOULD adjust the local TCP USER TIMEOUT (USER_TIMEOUT)
        //# in response to receiving a UTO option, as described in the remainder of this section.
        self.peer_user_timeout = remote;
        if self.give_up_after(cx.config) != before {
            self.user_timeout_changed(cx);
        }
    }

    /// The program changed what it asks for.
    pub(super) fn user_timeout_set(&mut self, before: &SocketOptions, gave_up: Duration, cx: &Context<'_>) {
        let told = self.options.told_user_timeout(cx.config);
        let known = before.told_user_timeout(cx.config);
        if told.is_none() {
            self.is.remove(Is::TELL_USER_TIMEOUT);
        }
        if told != known || self.give_up_after(cx.config) != gave_up {
            self.user_timeout_changed(cx);
        }
    }

    fn user_timeout_changed(&mut self, cx: &Context<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc5482#section-3
        //# A host that supports the UTO option SHOULD include one in the next possible outgoing segment whenever
        //# it starts using a new user timeout for the connection.
        self.tell_user_timeout();
        if let Some(limit) = self.user_timeout(cx.config) {
            let due = (self.progress + limit).max(cx.now);
            for timer in [Timer::Rto, Timer::Tlp, Timer::Persist] {
                if self.timers.deadline(timer).is_some_and(|armed| armed > due) {
                    self.timers.arm(timer, due);
                }
            }
        }
        self.keepalive_changed(cx);
    }

    /// The connection stands.
    //= https://www.rfc-editor.org/rfc/rfc5482#section-3
    //# In addition to exchanging UTO options in the SYN segments, a connection that has enabled UTO options
    //# SHOULD include a UTO option in the first packet that does not have the SYN flag set.
    //= https://www.rfc-editor.org/rfc/rfc5482#section-4.1
    //= id=rfc5482-4.1-s1
    pub(super) fn begin_user_timeout(&mut self, lost: u8) {
        if lost < MOST_LOST {
            self.tell_user_timeout();
        }
    }

    fn tell_user_timeout(&mut self) {
        self.is.set(Is::TELL_USER_TIMEOUT, self.options.user_timeout_option.enabled);
    }

    /// The field of the option on the next segment that is no SYN, if there it is to be. It is told once: what comes of
    /// it is the peer's affair.
    //= https://www.rfc-editor.org/rfc/rfc5482#section-3.2
    //# Consequently, implementations MUST NOT assume that UTO options are transmitted reliably.
    pub(super) fn user_timeout_field(&self, config: &TcpConfig) -> Option<u16> {
        let due = self.is.contains(Is::TELL_USER_TIMEOUT);
        self.options.told_user_timeout(config).filter(|_| due).map(UserTimeout::field)
    }

    /// Octets that it takes up there.
    pub(super) const fn user_timeout_len(&self) -> usize {
        if self.is.contains(Is::TELL_USER_TIMEOUT) { 4 } else { 0 }
    }

    /// How long the peer may be silent before keep-alive probes it.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
    //# This interval MUST be configurable (MUST-27)
    pub(super) fn keepalive_time(&self, config: &TcpConfig) -> Duration {
        let asked = self.options.keepalive_time.max(KEEPALIVE_MIN);
        //= https://www.rfc-editor.org/rfc/rfc5482#section-4.2
        //# Therefore, if a connection that enables keep-alives is also using the TCP User Timeout Option, then
        //# the keep-alive timer MUST be set to a value larger than that of the adopted USER TIMEOUT.
        match self.options.user_timeout_option.enabled {
            true => asked.max(self.give_up_after(config).saturating_add(KEEPALIVE_MIN)),
            false => asked,
        }
    }
}
