"""The one thread that runs prompts, and how it dies."""

from __future__ import annotations

import logging
import threading
import time

from worker.comfyui.embedded.executor import Executor
from worker.comfyui.embedded.history import History
from worker.comfyui.embedded.hub import Hub
from worker.comfyui.embedded.logs import Logs
from worker.comfyui.embedded.queue import PromptQueue, QueueItem

logger = logging.getLogger(__name__)


class PromptWorker:
    """Takes prompts from the queue until it is closed.

    Two queued prompts with one id and one number can't be ordered: the thread dies, and the server goes on accepting
    prompts that never run, as a real ComfyUI does (recording 19b).
    """

    def __init__(self, queue: PromptQueue, history: History, executor: Executor, hub: Hub, logs: Logs) -> None:
        self._queue = queue
        self._history = history
        self._executor = executor
        self._hub = hub
        self._logs = logs
        self._thread = threading.Thread(target=self._work, name="prompt-worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def _work(self) -> None:
        _ = self._executor.registry  # so that the first prompt need not wait for it
        while not self._queue.closed:
            try:
                item = self._queue.pop()
            except TypeError:
                logger.exception("Two prompts with the same id and number: no prompt will run any more.")
                return
            if item is not None:
                self._run(item)
            free = self._queue.take_free_request()
            if free.free_memory:
                self._executor.forget()

    def _run(self, item: QueueItem) -> None:
        began = time.perf_counter()
        outcome = self._executor.run(item)
        self._queue.finish(lambda: self._history.store(item, outcome))
        if self._executor.client_id is not None:
            over = {"node": None, "prompt_id": item.prompt_id}
            self._hub.send("executing", over, self._executor.client_id)
        self._logs.info(f"\x1b[32mPrompt executed in {time.perf_counter() - began:.2f} seconds\x1b[0m")
