# One image for every part of the service: the web, workers, the clock and commands differ in what they are told to run.
FROM python:3.11-slim-bookworm

RUN useradd --system --uid 10001 --create-home newsletter \
    && install --directory --owner=newsletter --mode=0700 /var/lib/newsletter
WORKDIR /srv/newsletter

# What others have written changes seldom and stands in a layer of its own; every package is known by its hash.
COPY requirements/run.txt requirements/
RUN pip install --no-cache-dir --require-hashes --requirement requirements/run.txt

COPY pyproject.toml README.md wsgi.py gunicorn.conf.py ./
COPY templates templates
COPY src src
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

USER newsletter
# Journals of senders live in the first of these folders: give it a volume, since they have to outlive the container.
ENV NEWSLETTER_VAR_DIR=/var/lib/newsletter NEWSLETTER_ENV=production PORT=8000
EXPOSE 8000
CMD ["gunicorn", "wsgi:app"]
