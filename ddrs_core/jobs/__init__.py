"""Long work in the background: one fair queue per device, watched and steered through jobs."""

from ddrs_core.jobs.computation import JobRequest
from ddrs_core.jobs.job import Job, JobState
from ddrs_core.jobs.manager import JobManager, get_manager
