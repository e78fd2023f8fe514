"""What a shell needs to complete a command line of `comfy-worker`: scripts, and the words that can follow.

Typer computes the words. The scripts speak its protocol: they start `comfy-worker` with the command line in environment
variables, and read the words from its standard output.
"""

from __future__ import annotations

from collections.abc import Mapping

VARIABLE = "_COMFY_WORKER_COMPLETE"

BASH = """\
_comfy_worker_completion() {
    local IFS=$'\\n'
    COMPREPLY=( $(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \\
        _COMFY_WORKER_COMPLETE=complete_bash "$1" 2> /dev/null) )
}
complete -o default -F _comfy_worker_completion comfy-worker
"""

ZSH = """\
#compdef comfy-worker
_comfy_worker_completion() {
    eval "$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" \\
        _COMFY_WORKER_COMPLETE=complete_zsh "${words[1]}" 2> /dev/null)"
}
compdef _comfy_worker_completion comfy-worker
"""

FISH = """\
function _comfy_worker_completion
    env _COMFY_WORKER_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] \\
        _TYPER_COMPLETE_ARGS=(commandline --cut-at-cursor --current-process | string collect) \\
        comfy-worker 2> /dev/null
end
complete --command comfy-worker --no-files --condition "_comfy_worker_completion is-args" \\
    --arguments "(_comfy_worker_completion get-args)"
complete --command comfy-worker --condition "not _comfy_worker_completion is-args" --force-files
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completed_arguments(environ: Mapping[str, str]) -> list[str] | None:
    """Return the words between `comfy-worker` and the word that the shell completes.

    Return None if no completion script started this process: it then runs a command.
    """
    if VARIABLE not in environ:
        return None
    if "COMP_CWORD" in environ:
        words, completed_index = environ.get("COMP_WORDS", "").split("\n"), int(environ["COMP_CWORD"])
        return words[1:completed_index]
    line = environ.get("_TYPER_COMPLETE_ARGS", "")
    words = line.split()[1:]
    # After a space the shell completes a new word, and otherwise the last one.
    return words if line.endswith(" ") else words[:-1]


def prepare_completion() -> None:
    """Register the shells with Typer, which otherwise does so only for the options that it adds itself."""
    from typer.completion import get_completion_inspect_parameters

    get_completion_inspect_parameters()
