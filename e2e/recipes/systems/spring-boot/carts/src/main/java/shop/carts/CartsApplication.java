package shop.carts;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** Shopping carts, each in the memory of one instance. */
@SpringBootApplication
public class CartsApplication {

  public static void main(String[] args) {
    SpringApplication.run(CartsApplication.class, args);
  }
}
