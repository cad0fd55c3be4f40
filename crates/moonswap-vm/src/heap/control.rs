//! What turns the collector on and off, and its settings.

use super::mode::{Mode, Settings};
use super::{Heap, Phase};

impl Heap {
    /// No automatic steps from now on.
    pub(crate) fn stop(&mut self) {
        self.running = false;
    }

    /// Automatic steps again; what was allocated meanwhile counts.
    pub(crate) fn restart(&mut self) {
        self.running = true;
        self.requested = false;
        self.charge(0);
    }

    /// Automatic steps are on.
    pub(crate) fn is_running(&self) -> bool {
        self.running
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.busy || self.finalizing
    }

    /// While a finalizer runs nothing is collected, unless memory is short;
    /// returns the previous state.
    pub(crate) fn set_finalizing(&mut self, finalizing: bool) -> bool {
        let old = std::mem::replace(&mut self.finalizing, finalizing);
        if old && !finalizing {
            self.requested = false;
            self.charge(0);
        }
        old
    }

    /// While this is set nothing is collected at all; returns the previous
    /// state.
    pub(crate) fn set_busy(&mut self, busy: bool) -> bool {
        let old = std::mem::replace(&mut self.busy, busy);
        if old && !busy {
            self.requested = false;
            self.charge(0);
        }
        old
    }

    /// Sets the pause in percent; returns the old one.
    pub(crate) fn set_pause(&mut self, pause: usize) -> usize {
        let old = std::mem::replace(&mut self.pause, pause);
        if self.phase == Phase::Pause {
            self.trigger = self.pause_trigger();
        }
        old
    }

    /// Sets the step multiplier in percent; returns the old one.
    pub(crate) fn set_step_multiplier(&mut self, multiplier: usize) -> usize {
        std::mem::replace(&mut self.step_multiplier, multiplier)
    }

    /// The memory limit is another one: cycles begin at another time.
    pub(super) fn limit_changed(&mut self) {
        if self.phase == Phase::Pause {
            self.trigger = self.pause_trigger();
            self.charge(0);
        }
    }

    /// What a program can set.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            running: self.running,
            pause: self.pause,
            step_multiplier: self.step_multiplier,
            mode: self.mode,
        }
    }

    /// Puts settings back; the old ones do nothing.
    pub(crate) fn set_settings(&mut self, settings: Settings) {
        let Settings {
            running,
            pause,
            step_multiplier,
            mode,
        } = settings;
        self.step_multiplier = step_multiplier;
        self.mode = mode;
        if pause != self.pause {
            self.set_pause(pause);
        }
        if running != self.running {
            match running {
                true => self.restart(),
                false => self.stop(),
            }
        }
    }

    /// Sets the mode; returns the old one.
    pub(crate) fn set_mode(&mut self, mode: Mode) -> Mode {
        std::mem::replace(&mut self.mode, mode)
    }
}
