"""Lines of the libraries in this process would stand between those of the stories."""

import logging

import structlog

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
