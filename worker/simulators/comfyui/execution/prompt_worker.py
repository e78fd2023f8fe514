"""The thread that runs prompts."""

from __future__ import annotations

import logging
import threading
import time

from worker.simulators.comfyui.engine import EmbeddedEngine
from worker.simulators.comfyui.execution.queue import QueuedPrompt

logger = logging.getLogger(__name__)


class PromptWorker:
    """Runs prompts from the queue until the queue is closed.

    Two queued prompts with the same id and number cannot be ordered. The thread then ends, and the server still accepts
    prompts that never run, as a real ComfyUI does (recording 19b).
    """

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._engine = engine
        self._thread = threading.Thread(target=self._work, name="prompt-worker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has ended, or until the timeout."""
        if self._thread.ident is not None:  # None when the server could not listen, so that the thread never started
            self._thread.join(timeout_s)

    def _work(self) -> None:
        """Run prompts, and carry out requests to free memory, until the queue is closed."""
        engine = self._engine
        _ = engine.executor.registry  # loads the node functions before the first prompt
        while not engine.queue.closed and not engine.fault_injector.prompt_thread_ends:
            try:
                item = engine.queue.pop()
            except TypeError:
                logger.exception("Two queued prompts have the same id and number. No prompt will run any more.")
                return
            if item is not None:
                self._run(item)
            # A request to unload models has no effect, because the engine loads none.
            if engine.queue.take_free_request().free_memory:
                engine.executor.clear_results()

    def _run(self, item: QueuedPrompt) -> None:
        """Run one prompt, store its outcome in the history, and report its end."""
        engine = self._engine
        started = time.perf_counter()
        outcome = engine.executor.run(item)
        delay_s = engine.fault_injector.take_history_delay_s()
        if delay_s:  # the fault `late`: the prompt leaves the queue before it is in the history
            engine.queue.finish(lambda: None)
            threading.Timer(delay_s, engine.history.store, (item, outcome)).start()
        else:
            engine.queue.finish(lambda: engine.history.store(item, outcome))
        if engine.executor.client_id is not None:
            data = {"node": None, "prompt_id": item.prompt_id}  # node None means that the prompt has ended
            engine.hub.send("executing", data, engine.executor.client_id)
        engine.logs.info(f"\x1b[32mPrompt executed in {time.perf_counter() - started:.2f} seconds\x1b[0m")
