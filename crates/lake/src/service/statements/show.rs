//! SHOW.
use super::Run;
use super::answer::Answer;
use crate::grammar::Name;
use crate::grammar::statement::Show;
use crannog_types::Result;
impl Run {
    pub(super) async fn show(&self, _show: Show) -> Result<Answer> {
        Ok(Answer::nothing())
    }
    pub(super) async fn refresh_table(&self, _table: &Name) -> Result<Answer> {
        Ok(Answer::nothing())
    }
}
