"""Names in the session state and in the URL."""

# widgets of the explorer; numbers of its budget follow the prefix
EXPLORER = "explorer_"
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
SEED = EXPLORER + "seed"
N = EXPLORER + "n"
N0 = EXPLORER + "n0"
ALPHA = EXPLORER + "alpha"
BOUND = EXPLORER + "bound"
PACE = "explorer_pace"
SHOWN = "explorer_shown_step"
PARAMETER = "explorer_parameter_"  # + name of the configuration's field

# kept while other pages are shown
SAVED_VIEW = "explorer_saved_view"
DRAWN_START = "explorer_drawn_start"  # the view with the sigma_0 that was drawn last
SAVED_JOBS = "explorer_saved_jobs"
OWN_JOBS = "explorer_own_jobs"  # ids by the key of their request
PROBLEMS = "explorer_problems"
STARTED = "explorer_started"  # whether the first example has been started

# query parameters that name jobs
JOB = "job"
CERTIFY_JOBS = "certify"

# widgets of the training page; fields of the configuration follow the prefix
TRAINING_DATASET = "training_dataset"
TRAINING_ARCHITECTURE = "training_architecture"
TRAINING_METHOD = "training_method"
TRAINING_DATA_DEPENDENT = "training_data_dependent"
TRAINING_SIGMA = "training_sigma"
TRAINING_SEED = "training_seed"
TRAINING_INIT = "training_init"
TRAINING_DEVICE = "training_device"
TRAINING_SETTING = "training_setting_"
TRAINING_OPTION = "training_option_"
TRAINING_SIGMA_OPTION = "training_sigma_option_"
TRAINING_SHOWN = "training_shown"
TRAINING_EPOCH = "training_epoch_"  # + what is shown
TRAINING_NAME = "training_name_"  # + id of the run
TRAINING_REPLAY = "training_replay"  # what is replayed, and since when

# kept while other pages are shown
TRAINING_PROBLEM = "training_problem"

# query parameters of the training page
RUN = "run"
LOG = "log"

# widgets of the comparison page; choices of a certification follow the prefix
CERTIFY_FORM = "certify_form_"
COMPARE_SHOWN = "compare_shown"
COMPARE_A = "compare_a"
COMPARE_B = "compare_b"
COMPARE_SIGMAS = "compare_sigmas"  # the set whose noise levels are shown
COMPARE_IMAGE = "compare_image"
COMPARE_ENVELOPE = "compare_envelope"
COMPARE_PUBLISHED = "compare_published"
COMPARE_UPLOAD = "compare_upload"

# kept while other pages are shown
COMPARE_PROBLEMS = "compare_problems"
COMPARE_READ = "compare_read"  # what became of the uploads

# query parameters of the comparison page; it also takes RUN
SHOW = "show"
PAIR = "pair"
SIGMAS = "sigmas"
IMAGE = "image"
ENVELOPE = "envelope"
PUBLISHED = "published"

# widgets of the memory page; fields of its view follow the prefix
MEMORY = "memory_"
MEMORY_NAME = "memory_name"  # of a new copy
MEMORY_SEARCH = "memory_search"

# kept while other pages are shown
MEMORY_PROBLEMS = "memory_problems"
MEMORY_UPLOAD = "memory_upload"
MEMORY_ACTION_PROBLEM = "memory_action_problem"  # why a bank was not copied or deleted

# widgets of the library
MODEL_ARCHITECTURE = "model_architecture"
MODEL_TRIED_ON = "model_tried_on"
PUBLISHED_MODEL = "published_model"
