"""Names in the session state and in the URL."""

# widgets of the explorer
DATASET = "explorer_dataset"
MODEL = "explorer_model"
DEVICE = "explorer_device"
INDEX = "explorer_index"
CLASS_FILTER = "explorer_class_filter"
PICTURE = "explorer_picture"
LABEL = "explorer_label"
PRESET = "explorer_preset"
STRATEGY = "explorer_strategy"
SIGMA_0 = "explorer_sigma_0"
SEED = "explorer_seed"
N = "explorer_n"
N0 = "explorer_n0"
ALPHA = "explorer_alpha"
BOUND = "explorer_bound"
SPEED = "explorer_speed"
SHOWN = "explorer_shown_step"
PARAMETER = "explorer_parameter_"  # + name of the configuration's field

# kept while other pages are shown
SAVED_VIEW = "explorer_saved_view"
SAVED_JOBS = "explorer_saved_jobs"
SAVED_SPEED = "explorer_saved_speed"
PROBLEMS = "explorer_problems"
STARTED = "explorer_started"  # whether the first example has been started

# query parameters that name jobs
JOB = "job"
CERTIFY_JOBS = "certify"
