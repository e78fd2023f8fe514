"""The one thread that runs prompts, and how it dies."""

from __future__ import annotations

import logging
import threading
import time

from worker.simulators.comfyui.engine import EmbeddedEngine
from worker.simulators.comfyui.execution.queue import QueuedPrompt

logger = logging.getLogger(__name__)


class PromptWorker:
    """Takes prompts from the queue until it is closed.

    Two queued prompts with one id and one number can't be ordered: the thread dies, and the server goes on accepting
    prompts that never run, as a real ComfyUI does (recording 19b).
    """

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._engine = engine
        self._thread = threading.Thread(target=self._work, name="prompt-worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        if self._thread.ident is not None:  # else the server could not listen
            self._thread.join(timeout_s)

    def _work(self) -> None:
        engine = self._engine
        _ = engine.executor.registry  # so that the first prompt need not wait for it
        while not engine.queue.closed and not engine.fault_injector.prompt_thread_ends:
            try:
                item = engine.queue.pop()
            except TypeError:
                logger.exception("Two prompts with the same id and number: no prompt will run any more.")
                return
            if item is not None:
                self._run(item)
            free = engine.queue.take_free_request()
            if free.free_memory:
                engine.executor.clear_results()

    def _run(self, item: QueuedPrompt) -> None:
        engine = self._engine
        began = time.perf_counter()
        outcome = engine.executor.run(item)
        if late_s := engine.fault_injector.take_history_delay_s():
            engine.queue.finish(lambda: None)
            threading.Timer(late_s, engine.history.store, (item, outcome)).start()
        else:
            engine.queue.finish(lambda: engine.history.store(item, outcome))
        if engine.executor.client_id is not None:
            over = {"node": None, "prompt_id": item.prompt_id}
            engine.hub.send("executing", over, engine.executor.client_id)
        engine.logs.info(f"\x1b[32mPrompt executed in {time.perf_counter() - began:.2f} seconds\x1b[0m")
