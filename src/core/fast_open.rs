//! What Fast Open is told: who may use it, and the secrets of its cookies (RFC 7413).

bitflags::bitflags! {
    /// Who may use Fast Open, and who without cookies: the bits of Linux's sysctl `tcp_fastopen`.
    //= https://www.rfc-editor.org/rfc/rfc7413#section-2
    //= id=rfc7413-2-1
    //# Therefore, TCP implementations MUST NOT use TFO by default, but only use TFO if requested explicitly
    //# by the application on a per-service-port basis.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Modes: u32 {
        /// Programs may open connections so, one by one.
        const CLIENT = 0x1;
        /// Listeners may be asked to take data in a SYN.
        const SERVER = 0x2;
        /// Data leaves in a SYN without a cookie.
        const CLIENT_NO_COOKIE = 0x4;
        /// Data in a SYN is taken without a cookie (RFC 7413 §7.3).
        const SERVER_NO_COOKIE = 0x200;
        /// Every listener takes part, asked or not.
        const ALL_LISTENERS = 0x400;
        // What is not named here means nothing, and is kept.
        const _ = !0;
    }
}

/// Octets of a secret.
pub const LEN: usize = 16;

/// The secrets that cookies are made with: a first, and perhaps one before it whose cookies are still good.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secrets {
    /// What new cookies are made with.
    pub primary: [u8; LEN],
    /// What older ones may have been made with (RFC 7413 §4.1.2, key rotation).
    pub backup: Option<[u8; LEN]>,
}
