pub(crate) fn pass() -> super::door::Pass {
    super::door::Pass::new()
}
