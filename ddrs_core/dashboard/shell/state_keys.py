"""Names in the session state and in the URL."""

# widgets of the explorer follow the prefix
EXPLORER = "explorer_"

# kept while other pages are shown
SAVED_VIEW = "explorer_saved_view"
DRAWN_START = "explorer_drawn_start"  # the view with the sigma_0 that was drawn last
SAVED_JOBS = "explorer_saved_jobs"
OWN_JOBS = "explorer_own_jobs"  # ids by the key of their request
PROBLEMS = "explorer_problems"
EMPTIED = "explorer_emptied"  # the example whose stored run the visitor has put away
LINKED_SIGMA = "linked_sigma"  # the noise level of a link at which it was certified by itself
PINNED = "explorer_pinned"  # the run that stays beside the others, a Pin
LAST_RUN = "explorer_last_run"  # the view whose run was shown last
HELD = "explorer_held"  # the dragged noise level of a link, as text
STARTED = "explorer_started"  # whether the first example has been started

# query parameters that name jobs
JOB = "job"
CERTIFY_JOBS = "certify"

# query parameters of the explorer beside those of its view
PIN = "pin"
DRAGGED = "drag"  # the noise level that the visitor holds; the browser writes it

# widgets of the training page; choices of a run follow the prefix
TRAINING = "training_"
TRAINING_SHOWN = "training_shown"
TRAINING_EPOCH = "training_epoch_"  # + what is shown
TRAINING_NAME = "training_name_"  # + id of the run
TRAINING_REPLAY = "training_replay"  # what is replayed, and since when

# kept while other pages are shown
TRAINING_PROBLEMS = "training_problems"

# query parameters of the training page
RUN = "run"
LOG = "log"

# widgets of the comparison page; fields of its view, and choices of a certification, follow the
# prefixes
COMPARE = "compare_"
CERTIFY_FORM = "certify_form_"
COMPARE_UPLOAD = "compare_upload"

# kept while other pages are shown
COMPARE_PROBLEMS = "compare_problems"
COMPARE_READ = "compare_read"  # what became of the uploads

# query parameters of the comparison page; RUN is one of them, too
SHOW = "show"
PAIR = "pair"
SIGMAS = "sigmas"
IMAGE = "image"
ENVELOPE = "envelope"
PUBLISHED = "published"
TAB = "tab"

# widgets of the memory page; fields of its view follow the prefix
MEMORY = "memory_"

# kept while other pages are shown
MEMORY_PROBLEMS = "memory_problems"
MEMORY_UPLOAD = "memory_upload"
MEMORY_ACTION_PROBLEM = "memory_action_problem"  # why a bank was not copied or deleted

# widgets of the failures page; fields of its view follow the prefix
FAILURES = "failures_"

# kept while other pages are shown
FAILURES_PROBLEMS = "failures_link_problems"

# kept while other pages are shown
LEARN_VIEW = "learn_view"
LEARN_PROBLEMS = "learn_problems"
LEARN_ANSWERS = "learn_answers"  # number of the answer that was checked, by lesson
LEARN_FOLLOW = "learn_follow"  # whether the teacher is followed
LEARN_FOLLOWED = "learn_followed"  # where to, at last

# widgets of the library
MODEL_ARCHITECTURE = "model_architecture"
MODEL_TRIED_ON = "model_tried_on"
PUBLISHED_MODEL = "published_model"
