"""The `newsletter` command as a program: the console script, and `python -m newsletter_svc`."""


def main() -> None:
    """Run the command."""
    # Imported here and not above: a process that only signs mail imports the program that started it, and should not
    # have to wait for all of the service.
    from newsletter_svc.app import main as run

    run()


if __name__ == "__main__":
    main()
