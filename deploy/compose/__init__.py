"""What the containers of docker-compose.yml run besides the services themselves."""
