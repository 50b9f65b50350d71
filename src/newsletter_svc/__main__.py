"""The `newsletter` command as a program: the console script, and `python -m newsletter_svc`."""

import gc


def main() -> None:
    """Run the command."""
    # What an import makes stays: to look through it for garbage, again and again, takes a tenth of the start.
    gc.disable()
    # Imported here and not above: a process that only signs mail imports the program that started it, and should not
    # have to wait for all of the service.
    from newsletter_svc.app import main as run

    gc.freeze()
    gc.enable()
    try:
        run()
    finally:
        gc.freeze()  # Nor is what is left at the end looked through once more.


if __name__ == "__main__":
    main()
