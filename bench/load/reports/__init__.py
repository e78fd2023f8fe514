"""What a worker reports to Vast's autoscaler, compared with the seconds until its work was really done."""
