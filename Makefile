# Every command lives in ./dev, which also works where there is no make.
# Arguments: make test ARGS="-k packet"
ARGS ?=

.PHONY: demo test lint format lock bench screenshots wheel
demo test lint format lock bench screenshots wheel:
	@exec ./dev $@ $(ARGS)
