//! DESCRIBE.
use super::Run;
use super::answer::Answer;
use crate::grammar::statement::Describe;
use crannog_types::Result;
impl Run {
    pub(super) async fn describe(&self, _describe: Describe) -> Result<Answer> {
        Ok(Answer::nothing())
    }
}
