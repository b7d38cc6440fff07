"""`python -m deploy.compose.mail`: the mail sink of docker-compose.yml, SMTP on 2525 and its page on 8000."""

from pathlib import Path

import uvicorn

from deploy.local.running.mail import MailSink, mail_app

FOLDER = Path("/state/mail")

if __name__ == "__main__":
    with MailSink(2525, FOLDER, host="0.0.0.0") as sink:  # noqa: S104 - its network is the containers' own
        uvicorn.run(mail_app(sink), host="0.0.0.0", port=8000, log_level="warning", access_log=False)  # noqa: S104
